"""One file per method: a named assignment of rules to nodes.

A method is a function (place, options) -> rule. It looks at the kind of op first, so an op that is added later gets a
fitting rule unasked. Read `place` (what a method is told), `dtd` (rules derived from domains), `composites`.
"""

from onnxdtd.methods.place import Options, Place
from onnxdtd.registry import METHODS, autoload

autoload(__name__)

__all__ = ["METHODS", "Options", "Place"]
