"""One file per rule: how relevance is shared through any linear map.

Read `rule` (what a rule is), `terms` (the kernel of all table rules), then any rule: most are their table.
Formulas use the letters of `onnxdtd.linear`; u+ = max(u, 0), u- = min(u, 0).
"""

from onnxdtd.registry import RULES, autoload
from onnxdtd.rules.rule import Facts, Rule

autoload(__name__)

__all__ = ["RULES", "Facts", "Rule"]
