"""Pictures of concepts: the reference rows of a channel, and where the concepts of one row are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row
from onnxdtd.lessons.references import Located, Reference
from onnxdtd.reading.words import words
from onnxdtd.render.canvas import DPI
from onnxdtd.render.contact import Thumb, cell, sheet
from onnxdtd.render.passages import Passage, is_finite, passages

Shown = tuple[tuple[str, ...], Row, Explanation]
"""Lines of text, a row, and what explains it."""


def draw_channel(
    path: Path,
    heading: str,
    relevant: Sequence[Reference],
    active: Sequence[Reference],
    parts: Mapping[str, tuple[Row, Explanation]],
) -> bool:
    """A line of the rows with the largest relevance above one of those with the largest activation, each with its
    conditional heatmap. parts: row and explanation by id. False where rows have no pictures."""
    shown = []
    for word, references in (("RelMax", relevant), ("ActMax", active)):
        for rank, reference in enumerate(references, 1):
            lines = (f"{word} {rank}: {reference.id}", f"class {reference.name}, {reference.value:.4g}")
            shown.append((lines, *parts[reference.id]))
    caption = "above: largest relevance, below: largest activation; red where the channel looks"
    return _drawn(shown, path, heading, caption, across=len(relevant))


def draw_located(located: Located, path: Path, layer: str) -> bool:
    """The heatmap of a row, and behind it the conditional one of each channel. False where it has no picture."""
    whole = f"{located.whole.label()}: {float(located.whole.target_value[0]):.4g}"
    shown: list[Shown] = [(("all channels", whole), located.row, located.whole)]
    shown += [
        ((f"channel {c}", f"{100 * located.shares[c]:.3g} % of the layer's"), located.row, e)
        for c, e in located.parts.items()
    ]
    heading = f"'{located.row.id}': which channels of {layer}, and where"
    return _drawn(shown, path, heading, "shares are of |relevance| in the layer")


def _drawn(shown: Sequence[Shown], path: Path, heading: str, caption: str, across: int | None = None) -> bool:
    """Texts in coloured words, one below the other; what has a picture in cells. False where nothing has any."""
    texts = [Passage(lines, listed) for lines, _, e in shown if is_finite(listed := words(e))]
    cells = [one for each in shown if (one := _cell(*each)) is not None]
    if texts:
        passages(texts, heading, caption).savefig(path, dpi=DPI)
    elif cells:
        sheet(cells, heading, caption, across).savefig(path, dpi=DPI)
    return bool(texts or cells)


def _cell(lines: tuple[str, ...], row: Row, e: Explanation) -> Thumb | None:
    (name, *_) = e.relevance
    picture = row.picture() if row.picture else None
    return cell(lines, e.relevance[name][0], e.inputs[name][0], picture)
