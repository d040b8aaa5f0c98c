"""`python -m spyral_core`."""

import sys

from spyral_core.cli import main

if __name__ == "__main__":  # worker processes import this module, too
    sys.exit(main(sys.argv[1:]))
