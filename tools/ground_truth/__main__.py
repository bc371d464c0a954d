"""Which method finds the evidence where its place is known? Grid of pictures, stroke on texture, box of a detector.

    pip install torch==2.13.0 onnxscript==0.7.2 mlxtend==0.25.0
    pip install --no-deps scikit-image==0.26.0 foolbox==3.3.4 ultralytics==8.4.190 nudenet==3.4.2
    python -m tools.ground_truth --work /somewhere/else     # half an hour; stopped, it goes on where it was
    python -m tools.ground_truth --work ... --only plain mnist_resnet --methods auto epsilon_plus

Networks are trained into the work folder, once for a seed; what is not installed is left out with a message. Scores
are kept there, a file for each network; the summary goes to docs/figures/ground_truth.json and docs/ground_truth.md
(--words: only the latter, from the former).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.ground_truth import candidates, subjects
from tools.ground_truth.games import play
from tools.ground_truth.page import page
from tools.ground_truth.photographs import MissingError
from tools.ground_truth.subjects import Subject
from tools.ground_truth.summary import document
from tools.paths import DOCS, FIGURES

TRAINED = (
    "plain", "shallow", "residual", "depthwise_relu6", "depthwise_silu", "squeeze_excite", "attention", "vit",
)  # fmt: skip
SUMMARY, PAGE = FIGURES / "ground_truth.json", DOCS / "ground_truth.md"
OTHERS = ("mnist_resnet", "mnist_cnn", "efficientnet_lite0", "nudenet_320n")


def subject(name: str, work: Path, seed: int) -> Subject:
    """One network with its questions; trained first, if it is ours and not there yet. Raises MissingError."""
    if name in TRAINED:
        path = work / f"{name}-{seed}.onnx"
        if not path.exists():
            train(name, path, seed)
        return subjects.trained(name, path, seed)
    if name == "efficientnet_lite0":
        return subjects.efficientnet(seed)
    if name == "nudenet_320n":
        return subjects.detector()
    return next(one for one in subjects.shipped(seed) if one.name == name)


def train(name: str, path: Path, seed: int) -> None:
    """Raises MissingError where torch or the digits are not installed."""
    try:
        from tools.ground_truth import networks
        from tools.models.common import digits

        print(f"{name}: training", flush=True)
        networks.make(name, digits(), path, seed)
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed; see python -m tools.ground_truth --help"
        ) from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("out/ground_truth"), help="where all is kept")
    parser.add_argument("--words", action="store_true", help="only write the page anew")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=(*TRAINED, *OTHERS), default=(*TRAINED, *OTHERS))
    parser.add_argument("--methods", nargs="+", help="candidates by name; all by default")
    asked = parser.parse_args()
    if not asked.words:
        results = played(asked.only, asked.work, asked.seed, asked.methods)
        if asked.methods:
            print(json.dumps(results, indent=1))
            return
        SUMMARY.write_text(json.dumps({"seed": asked.seed, "networks": results}, indent=1) + "\n")
    PAGE.write_text(page(json.loads(SUMMARY.read_text())["networks"]), "utf-8")


def played(names: Sequence[str], work: Path, seed: int, methods: Sequence[str] | None) -> dict[str, Any]:
    """The results of these networks, and of all whose scores lie in the work folder. Not kept, and no others beside
    them, where only some methods were asked for."""
    work.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name in (*TRAINED, *OTHERS):
        kept = work / f"{name}-{seed}.json"
        if kept.exists() and not methods:
            results[name] = json.loads(kept.read_text())
            continue
        if name not in names:
            continue
        try:
            results[name] = measured(subject(name, work, seed), methods)
        except MissingError as error:
            print(f"{name} is left out: {error}", flush=True)
            continue
        if not methods:
            kept.write_text(json.dumps(results[name], indent=1) + "\n")
    return results


def measured(one: Subject, methods: Sequence[str] | None) -> dict[str, Any]:
    """By game, the document of its scores."""
    every = {**candidates.methods(), **candidates.variants(*one.input_range)}
    if one.name == "vit":
        every |= candidates.of_patches()
    chosen = {name: c for name, c in every.items() if not methods or name in ("auto", *methods)}
    found = {}
    for game, question in one.questions.items():
        print(f"{one.name}: {game}, {len(question.pictures)} questions", flush=True)
        found[game] = document(play(one.model, one.input_range, question, chosen))
    return found


if __name__ == "__main__":
    main()
