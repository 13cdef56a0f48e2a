"""`python -m birthmark`."""

import sys

from birthmark.cli import main

if __name__ == "__main__":
    sys.exit(main())
