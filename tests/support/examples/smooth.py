"""Smooth functions, powers and activations: elementwise."""

from __future__ import annotations

import numpy as np

from tests.support.single_op import X, ex, w

WIDE = X((2, 3, 4), within=(-4, 4))

CURVES = [
    *(ex(name, X((2, 3, 4))) for name in ("Exp", "Erf", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh")),
    *(ex(name, X((2, 3, 4), within=(-0.9, 0.9))) for name in ("Asin", "Acos", "Atanh")),
    ex("Tan", X((2, 3, 4), within=(-1.4, 1.4))),
    ex("Acosh", X((2, 3, 4), within=(1.1, 4))),
    ex("Log", X((2, 3, 4), within=(0.1, 4))),
    ex("Log", X((5,), within=(0.1, 4)), opset=22, note="vector"),
    ex("Sin", X((2, 3)), opset=7, note="opset7"),
    ex("Exp", X((2, 3)), opset=7, note="opset7"),
]

POWERS = [
    ex("Sqrt", X((2, 3, 4), within=(0.1, 4))),
    ex("Reciprocal", X((2, 3, 4), within=(0.2, 4))),
    ex("Reciprocal", X((2, 3), within=(-4, -0.2)), opset=7, note="below"),
    ex("Pow", X((2, 3, 4)), np.float32(2), note="square"),
    ex("Pow", X((2, 3, 4)), np.float32(3), opset=7, note="cube"),
    ex("Pow", X((2, 3, 4)), np.array([3], np.int64), note="integer-exponent"),
    ex("Pow", X((2, 3, 4)), np.array([1, 0, 2, 3], np.float32), note="mixed"),
    ex("Pow", X((2, 3, 4), within=(0.1, 3)), np.float32(-1.5), note="fractional"),
    ex("Pow", X((2, 1, 4), within=(0.1, 3)), w(2, 3, 1), note="broadcast", fixed=True),
    ex("Pow", np.array([0.5, 2, 3], np.float32), X((2, 3)), note="exponent"),
    ex("Pow", X((2, 3), within=(0.1, 3)), X((2, 1)), note="both"),
    ex("Mod", X((2, 3), within=(-9, 9)), np.float32([2, -3, 0.7]), fmod=1, note="dividend"),
    ex("Mod", np.float32([7, -5, 3]), X((2, 1), within=(1.1, 1.2)), fmod=1, note="divisor"),
    ex("Mod", X((2, 3), within=(5, 9)), X((2, 3), within=(-3.9, -3.1)), fmod=1, note="both"),
]

ACTIVATIONS = [
    ex("Abs", X((2, 3, 4))),
    ex("Elu", X((2, 3, 4)), alpha=1.5),
    ex("Elu", X((2, 3, 4)), opset=7, note="opset7"),
    ex("Celu", X((2, 3, 4)), alpha=2.0),
    ex("Selu", X((2, 3, 4)), note="default"),
    ex("Selu", X((2, 3, 4)), alpha=2.0, gamma=0.5, note="given"),
    ex("ThresholdedRelu", WIDE, note="default"),
    ex("ThresholdedRelu", WIDE, alpha=-0.5, note="below"),
    ex("Shrink", WIDE, note="hard"),
    ex("Shrink", WIDE, lambd=1.5, bias=1.0, note="soft"),
    ex("HardSigmoid", WIDE, note="default"),
    ex("HardSigmoid", WIDE, alpha=-0.5, beta=0.6, note="falling"),
    ex("Softplus", WIDE),
    ex("Softsign", WIDE),
    ex("PRelu", X((2, 3, 4)), w(3, 1), note="slopes"),
    ex("PRelu", X((2, 3, 4)), w(1), opset=7, note="one-slope"),
    ex("PRelu", w(2, 3, 4), X((2, 1, 4)), note="slopes-of-data", fixed=True),
    ex("PRelu", X((2, 3, 4)), X((2, 3, 1)), note="both"),
    ex("Gelu", WIDE, opset=20, note="exact"),
    ex("Gelu", WIDE, opset=20, approximate="tanh", note="tanh"),
    ex("Swish", WIDE, opset=24, note="default"),
    ex("Swish", WIDE, opset=24, alpha=1.7, note="sharper"),
    ex("Mish", WIDE, opset=18),
    ex("HardSwish", WIDE, opset=14),
]

EXAMPLES = [*CURVES, *POWERS, *ACTIVATIONS]
