"""`python -m raygan` is `raygan`."""

from raygan.cli.__main__ import start

if __name__ == "__main__":
    start()
