"""`python -m SegAnyPETLib` is the same as `seganypet`."""

import sys

from SegAnyPETLib.cli import main

if __name__ == "__main__":
    sys.exit(main())
