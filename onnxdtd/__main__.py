"""`python -m onnxdtd` is the command `onnxdtd`."""

import sys

from onnxdtd.cli import main

if __name__ == "__main__":
    sys.exit(main())
