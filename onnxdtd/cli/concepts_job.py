"""The work of `concepts`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from onnxdtd import lessons
from onnxdtd.cli.text import message, screen, table
from onnxdtd.folder import check_folder
from onnxdtd.lessons.concept import SCHEMA, Concepts
from onnxdtd.lessons.references import Located


def concepts(
    directory: Path, output: Path, row: str | None, *, pictures: bool, as_json: bool, **settings: Any
) -> str:
    """A table of the channels of each class, or one JSON object; the rest is in `output`."""
    check_folder(output, SCHEMA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        concepts = lessons.concepts(directory, **settings)
        located = None if row is None else concepts.where(row)
        place = concepts.save(output, pictures, located)
        if pictures and concepts.relevant and not [*place.glob("channel-*.png")]:
            message("no pictures of channels: neither pictures nor texts were explained")
    if as_json:
        where = {} if located is None else {"where": located.document()}
        return json.dumps({**concepts.document(), **where, "directory": str(place)})
    return "\n".join([*_told(concepts), *_placed(located), f"written: {place}"])


def _told(concepts: Concepts) -> list[str]:
    layer = concepts.layer
    why = f", {layer.why}" if layer.why else ""
    rows = [
        [name, str(entry["channel"]), f"{100 * entry['share']:.3g} %", f"{100 * entry['positive']:.3g} %",
         ", ".join(r.id for r in concepts.relevant[entry["channel"]][:3])]
        for name, entries in concepts.classes.items()
        for entry in entries
    ]  # fmt: skip
    head = ["class", "channel", "of |relevance|", "for the target", "largest relevance in"]
    lines = [f"layer: {layer.name}, {layer.channels} channels{why}", table(head, rows, screen())]
    if concepts.left_out:
        lines.append(f"left out: {concepts.left_out} rows whose relevance is not finite")
    return lines


def _placed(located: Located | None) -> list[str]:
    if located is None:
        return []
    shares = ", ".join(f"channel {c} {100 * share:.3g} %" for c, share in located.shares.items())
    return [f"row {located.row.id}, {located.whole.label()}: {shares}"]
