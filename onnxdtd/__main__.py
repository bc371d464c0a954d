"""`python -m onnxdtd` is the command `onnxdtd`."""

import sys

from onnxdtd.cli import main

sys.exit(main())
