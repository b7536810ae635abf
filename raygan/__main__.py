"""`python -m raygan`: the `raygan` command, where no script of that name is on the path."""

import sys

from raygan.cli import main

if __name__ == "__main__":
    sys.exit(main())
