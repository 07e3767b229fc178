"""Run the command line with `python -m fomm_cli`."""

import sys

from fomm_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
