"""Pictures of concepts: the reference rows of a channel, and where the concepts of one row are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row
from onnxdtd.lessons.references import Located, Reference
from onnxdtd.render.canvas import DPI
from onnxdtd.render.contact import Thumb, cell, sheet


def draw_channel(
    path: Path,
    heading: str,
    relevant: Sequence[Reference],
    active: Sequence[Reference],
    parts: Mapping[str, tuple[Row, Explanation]],
) -> bool:
    """A line of the rows with the largest relevance above one of those with the largest activation, each with its
    conditional heatmap. parts: row and explanation by id. False where rows have no pictures."""
    cells = []
    for word, references in (("RelMax", relevant), ("ActMax", active)):
        for rank, reference in enumerate(references, 1):
            row, e = parts[reference.id]
            lines = (f"{word} {rank}: {reference.id}", f"class {reference.name}, {reference.value:.4g}")
            if (one := _cell(lines, row, e)) is not None:
                cells.append(one)
    if not cells:
        return False
    caption = "above: largest relevance, below: largest activation; red where the channel looks"
    sheet(cells, heading, caption, across=len(relevant)).savefig(path, dpi=DPI)
    return True


def draw_located(located: Located, path: Path, layer: str) -> bool:
    """The heatmap of a row, and behind it the conditional one of each channel. False where it has no picture."""
    whole = f"{located.whole.label()}: {float(located.whole.target_value[0]):.4g}"
    cells = [_cell(("all channels", whole), located.row, located.whole)]
    cells += [
        _cell((f"channel {c}", f"{100 * located.shares[c]:.3g} % of the layer's"), located.row, e)
        for c, e in located.parts.items()
    ]
    drawn = [one for one in cells if one is not None]
    if drawn:
        heading = f"'{located.row.id}': which channels of {layer}, and where"
        sheet(drawn, heading, "shares are of |relevance| in the layer").savefig(path, dpi=DPI)
    return bool(drawn)


def _cell(lines: tuple[str, ...], row: Row, e: Explanation) -> Thumb | None:
    (name, *_) = e.relevance
    picture = row.picture() if row.picture else None
    return cell(lines, e.relevance[name][0], e.inputs[name][0], picture)
