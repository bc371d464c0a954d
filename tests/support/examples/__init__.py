"""Examples of every op, a file for each group: what the tests of `test_ops` run over. An op without one fails by
name.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.support.single_op import Example

EXAMPLES: list[Example] = []
for found in pkgutil.iter_modules(__path__):
    EXAMPLES += importlib.import_module(f"{__name__}.{found.name}").EXAMPLES
