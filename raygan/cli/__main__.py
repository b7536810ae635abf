"""`python -m raygan.cli` is `raygan`."""

from raygan.cli import main

if __name__ == "__main__":
    main()
