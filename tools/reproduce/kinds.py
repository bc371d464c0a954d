"""What every audit says of every kind of model, each explained by the default method: a table, with the sentences.

    pip install -e .
    python -m tools.reproduce.kinds [--seed 0] [--out docs/figures]

Linear and two-class models, trees, digits, a photo, a table's network, a transformer, a recurrent network, a detector
and a regression; none of them was used to tune an audit. Writes kinds.json, .md and .png. Three minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.parser
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from onnx import numpy_helper

import onnxdtd
from onnxdtd.audit import AUDITS, run_audit
from onnxdtd.errors import OnnxdtdError
from onnxdtd.render.colours import BLUE, FAINT, INK, RED
from tools.paths import EXPORTS, GOLDENS, MODELS
from tools.reproduce.curves import sheet
from tools.reproduce.experiment import Array, command, crops, digits

FINDINGS = tuple(dict.fromkeys(name for entry in AUDITS.values() for name in entry.findings))
Kind = tuple[Any, dict[str, Array] | Array, dict[str, Any]]


def written(text: str, **constants: Array) -> onnx.ModelProto:
    """A model from onnx's text form; keywords become initializers."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> model {text}')
    proto.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in constants.items())
    return proto


def normal(seed: int, *shape: int) -> Array:
    """He-normal weights; the last but one axis is read."""
    size = shape[-2] if len(shape) > 1 else 1
    return (np.random.default_rng(seed).standard_normal(shape) * np.sqrt(2 / size)).astype(np.float32)


def rows(name: str) -> Array:
    """Test rows of an exported table model."""
    with np.load(EXPORTS / "tables.npz") as tables:
        return np.asarray(tables[f"{name}/rows"][:1], np.float32)


def transformer() -> Kind:
    """Three classes from eight token ids."""
    with np.load(GOLDENS / "transformer" / "relevance.npz") as data:
        feeds = {name: data[name][:1] for name in ("ids", "mask")}
    return GOLDENS / "transformer" / "script.onnx", feeds, {}


def recurrent(seed: int) -> Kind:
    """A bidirectional LSTM over 20 steps of 6 values, its mean, four classes; random weights."""
    text = (
        "(float[N, 20, 6] x) => (float[N, 4] y) { s = Transpose<perm = [1, 0, 2]>(x)"
        "a, h, c = LSTM<hidden_size = 16, direction = \"bidirectional\">(s, w, r)"
        "n = ReduceMean<axes = [0], keepdims = 0>(a)"
        "p = Transpose<perm = [1, 0, 2]>(n) f = Flatten(p) y = Gemm(f, v) }"
    )  # fmt: skip
    w, r = normal(seed, 2, 64, 6) / 2, normal(seed + 1, 2, 64, 16) / 2
    source = written(text, w=w, r=r, v=normal(seed + 2, 32, 4))
    return source, normal(seed + 3, 1, 20, 6), {}


def detector(seed: int) -> Kind:
    """Boxes and three class scores at 36 places of a 12 x 12 picture, (N, 4 + 3, 36); random weights."""
    text = (
        "(float[N, 3, 12, 12] x) => (float[N, 7, 36] y) { a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w)"
        "b = Relu(a) c = Conv(b, v) box, score = Split<axis = 1>(c, parts) s = Sigmoid(score)"
        "d = Concat<axis = 1>(box, s) y = Reshape(d, shape) }"
    )  # fmt: skip
    constants = {
        "w": np.random.default_rng(seed).standard_normal((16, 3, 3, 3)).astype(np.float32) / 4,
        "v": np.random.default_rng(seed + 1).standard_normal((7, 16, 1, 1)).astype(np.float32) / 3,
        "parts": np.array([4, 3]),
        "shape": np.array([0, 7, 36]),
    }
    x = np.random.default_rng(seed + 2).random((1, 3, 12, 12), np.float32)
    return written(text, **constants), x, {"input_range": (0, 1)}


def regression(seed: int) -> Kind:
    """One number from ten, by 16 Tanh units; random weights."""
    text = "(float[N, 10] x) => (float[N, 1] y) { a = MatMul(x, w) b = Tanh(a) y = Gemm(b, v, c) }"
    constants = {"w": normal(seed, 10, 16), "v": normal(seed + 1, 16, 1), "c": np.float32([0.5])}
    return written(text, **constants), normal(seed + 3, 1, 10), {}


def linear(seed: int) -> Kind:
    """Five classes from twelve numbers, one matrix and a bias."""
    text = "(float[N, 12] x) => (float[N, 5] y) { y = Gemm(x, w, b) }"
    return written(text, w=normal(seed, 12, 5), b=normal(seed + 1, 5)), normal(seed + 2, 1, 12), {}


def kinds(seed: int) -> dict[str, Callable[[], Kind]]:
    """What is looked at, by name."""
    return {
        "linear, five classes": lambda: linear(seed),
        "linear, one margin": lambda: (EXPORTS / "linear_svc.onnx", rows("linear_svc"), {}),
        "kernel machine": lambda: (EXPORTS / "svc_rbf.onnx", rows("svc_rbf"), {}),
        "trees": lambda: (EXPORTS / "random_forest.onnx", rows("random_forest"), {}),
        "table, dense network": lambda: (MODELS / "wine_mlp.onnx", np.load(MODELS / "wine_sample.npy"), {}),
        "regression, Tanh": lambda: regression(seed),
        "digits, CNN": lambda: (MODELS / "mnist_cnn.onnx", digits(1)[3:4], {"input_range": (0, 1)}),
        "digits, residual": lambda: (MODELS / "mnist_resnet.onnx", digits(1)[3:4], {"input_range": (0, 1)}),
        "photo, ReLU6": lambda: (
            MODELS / "efficientnet_lite0.onnx",
            crops()[0][:1],
            {"input_range": crops()[1]},
        ),
        "detector": lambda: detector(seed),
        "transformer": transformer,
        "LSTM": lambda: recurrent(seed),
    }


def row(kind: Kind) -> dict[str, Any]:
    """The findings of one model by its default method; or why there are none."""
    source, x, options = kind
    explainer = onnxdtd.Explainer(source, **options)
    explanation = explainer(x)
    told: dict[str, Any] = {"method": explanation.method, "target": explanation.label(0), "findings": {}}
    try:
        report = run_audit(explainer, explanation)
    except OnnxdtdError as error:
        return told | {"refused": str(error)}
    told["findings"] = {
        f.name: {"value": f.value, "fired": f.fired, "sentence": f.sentence} for f in report.findings
    }
    return told | {"sentence": report.sentence}


def measure(seed: int, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Every kind."""
    chosen = kinds(seed)
    return {"seed": seed, "kinds": {name: row(chosen[name]()) for name in names or chosen}}


def page(measured: dict[str, Any]) -> str:
    """The table in Markdown, and below it each sentence."""
    table = [f"| kind of model | method | {' | '.join(FINDINGS)} |", "|---" * (2 + len(FINDINGS)) + "|"]
    sentences = []
    for name, told in measured["kinds"].items():
        cells = [shown(told["findings"].get(finding)) for finding in FINDINGS]
        table.append(f"| {name} | {told['method']} | {' | '.join(cells)} |")
        sentences.append(f"## {name}\n\n`{told['method']}`, {told['target']}.")
        if "refused" in told:
            sentences.append(f"Refused: {told['refused'].split(';')[0]}.")
            continue
        sentences.append(f"**{told['sentence']}**")
        rows = [(f, told["findings"][f]) for f in FINDINGS if f in told["findings"]]
        sentences.append(
            "\n".join(f"- {f}{'**, fired**' if r['fired'] else ''}: {r['sentence']}" for f, r in rows)
        )
    return TEXT.format(measured=measured, table="\n".join(table), sentences="\n\n".join(sentences))


def shown(finding: dict[str, Any] | None) -> str:
    """A finding as a cell: its number, bold if it fired; a dash where it does not apply."""
    if finding is None or finding["value"] is None:
        return "–"
    number = f"{finding['value']:.2g}"
    return f"**{number}**" if finding["fired"] else number


TEXT = """# What the audits say of every kind of model

{table}

Each model is explained by its default method at one input. Bold: the finding fired; a dash: it does not apply,
and the sentence says why. Methods that share out a sum of single inputs, or walk trees, give no node a rule, so
that audits of rules are refused. Weights of the linear model with five classes, the regression, the detector and
the LSTM are random.

![findings by kind](kinds.png)

{sentences}

    python -m tools.reproduce.kinds --seed {measured[seed]}
"""


def figure(measured: dict[str, Any]) -> Figure:
    """A grid: kinds by findings; red where it fired, blue where it applies and did not, else empty."""
    picture, ((axes,),) = sheet(1, 1, (9.5, 5.0))
    names = list(measured["kinds"])
    for down, name in enumerate(names):
        for across, finding in enumerate(FINDINGS):
            told = measured["kinds"][name]["findings"].get(finding)
            if told is None or told["value"] is None:
                axes.plot(across, down, "_", color=FAINT)
                continue
            axes.add_patch(
                Rectangle(
                    (across - 0.5, down - 0.5),
                    1,
                    1,
                    color=RED if told["fired"] else BLUE,
                    alpha=0.3,
                    linewidth=0,
                )
            )
            axes.text(across, down, f"{told['value']:.2g}", ha="center", va="center", fontsize=7, color=INK)
    axes.set(xlim=(-0.5, len(FINDINGS) - 0.5), ylim=(len(names) - 0.5, -0.5))
    labels: dict[str, Any] = {"rotation": 38, "ha": "right", "rotation_mode": "anchor", "fontsize": 8}
    axes.set_xticks(range(len(FINDINGS)), FINDINGS, **labels)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("red: fired; blue: did not; dash: does not apply", loc="left", fontsize=9, color=INK)
    return picture


if __name__ == "__main__":
    command(__doc__, "kinds", {"seed": 0}, measure, page, figure)
