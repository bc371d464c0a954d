"""A door for others: all that an op, a rule or a method of one's own needs, in a module outside the package.

    from onnxdtd.extend import Group, Point, Site, Term, TermRule, negative, op, positive, rule, scaled, zero

    @op("Twice", domain="com.example", kind="linear", family="scale")
    def twice(point: Point) -> Site:
        "y = 2 x."
        return point.site(scaled(2.0, point.x, constant=True))

    @rule("zminus")
    def zminus(epsilon: float = 1e-6) -> TermRule:
        "R_i = sum_j (x_i+ w_ij-) r_j / sum_i (x_i+ w_ij-)."
        return TermRule("zminus", (Group((Term(positive, negative, zero),)),), epsilon)

An *op* says which linear map it is at the point of the forward pass, a *rule* how relevance is shared through any
linear map, a *method* which rule a node takes. Import the module that declares them before the model is explained;
docs/extend.md has the rest.
"""

from __future__ import annotations

import onnxdtd.primitives as primitives
from onnxdtd.domains.interval import Domain
from onnxdtd.domains.pieces import corner, smooth
from onnxdtd.domains.rows import curve, same
from onnxdtd.entries import MethodEntry, OpEntry, RuleEntry
from onnxdtd.linear import LinearMap, Site
from onnxdtd.methods import Options, Place
from onnxdtd.model.point import Point
from onnxdtd.ops.activation import diagonal
from onnxdtd.ops.scale import scaled
from onnxdtd.registry import METHODS, OPS, RULES, method, op, rule, without_site
from onnxdtd.rules import Facts, Rule
from onnxdtd.rules.maps import identity, negative, ones, positive, square, zero
from onnxdtd.rules.terms import Group, Term, TermRule, label

__all__ = [
    "METHODS",
    "OPS",
    "RULES",
    "Domain",
    "Facts",
    "Group",
    "LinearMap",
    "MethodEntry",
    "OpEntry",
    "Options",
    "Place",
    "Point",
    "Rule",
    "RuleEntry",
    "Site",
    "Term",
    "TermRule",
    "corner",
    "curve",
    "diagonal",
    "identity",
    "label",
    "method",
    "negative",
    "ones",
    "op",
    "positive",
    "primitives",
    "rule",
    "same",
    "scaled",
    "smooth",
    "square",
    "without_site",
    "zero",
]
