"""`python -m raygan`: the `raygan` command, where no script of that name is on the path."""

from raygan.cli import main

if __name__ == "__main__":
    main()
