"""The work of `demo`, loaded when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from onnxdtd.audit import audited
from onnxdtd.cli.summary import summary
from onnxdtd.cli.text import paragraph
from onnxdtd.demo import INPUT, MODEL, copied
from onnxdtd.explainer import Explainer
from onnxdtd.report import Entry, save_report

PAGE = "report.html"


def demo(output: Path, *, as_json: bool) -> str:
    """Write model, input, result and page, and tell of them and of what to do next."""

    with TemporaryDirectory() as place:
        model, x = copied(Path(place))
        e = audited(Explainer(model, labels=[str(digit) for digit in range(10)]), np.load(x))

        def more(folder: Path) -> None:
            copied(folder)
            save_report([Entry(e, INPUT)], folder / PAGE)

        folder = e.save(output, extras=more)
    if as_json:
        return json.dumps({"directory": str(folder), "page": str(folder / PAGE)})
    lines = summary(e, output, sorted(path.name for path in folder.iterdir()))
    commands = [
        f"Open {output / PAGE}, then try your own model, or these:",
        f"  onnxdtd run {output / MODEL} {output / INPUT} --target 8 -o out",
        f"  onnxdtd audit {output / MODEL} {output / INPUT}",
        f"  onnxdtd compare {output / MODEL} {output / INPUT}",
    ]
    return "\n\n".join([lines, "\n".join([paragraph(commands[0]), *commands[1:]])])
