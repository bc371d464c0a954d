"""What of a result is drawn and tabulated in its folder, beside its arrays."""

from __future__ import annotations

import base64
import html
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.reading import by_sample, column_names, columns, images, shares, shows, title
from onnxdtd.render.canvas import DPI, Drawing
from onnxdtd.render.contact import MOST, sheet, thumb
from onnxdtd.render.heatmap import figure_of, save_heatmap
from onnxdtd.render.painted import Painted
from onnxdtd.render.waterfall import ranking
from onnxdtd.render.words import coloured_html
from onnxdtd.sheets import kept_lines, relevance_lines, summary_line, write_csv


def fill(e: Explanation, folder: Path, picture: Any = None) -> None:
    """heatmap.png of the first sample, one more for each further image, relevance.csv of a table's rows, and
    kept_layers.csv, kept_heads.csv and kept_tokens.csv of what was kept inside; of several samples summary.csv
    besides, and contact.png or, of a table, columns.png. picture: what the first sample's heatmap is laid over.

    What is not finite, of which the result warns, is not drawn, nor what was given nothing.
    """
    e = by_sample(e)
    if drawable(e) and (figure := figure_of(e, picture=picture, board=Painted)) is not None:
        figure.savefig(folder / "heatmap.png", dpi=DPI)
    for place, name in enumerate(e.relevance, 1):
        if name in images(e)[1:] and np.isfinite(e.relevance[name][0]).all():
            save_heatmap(e, folder / f"heatmap-{place}{_spelled(name)}.png", name=name)
    if lines := relevance_lines(e):
        write_csv(folder / "relevance.csv", lines)
    for kind, table in kept_lines(e).items():
        write_csv(folder / f"kept_{kind}.csv", table)
    count = len(e.target)
    if count == 1:
        return
    write_csv(folder / "summary.csv", [summary_line(e, i, {"row": i}) for i in range(count)])
    words = f"{count} samples  ·  {e.method}"
    if lines:
        rows = np.concatenate(
            [e.relevance[n].reshape(count, -1) for n in columns(e) or list(e.relevance)[:1]], 1
        )
        if np.isfinite(rows).all():
            ranking(rows, column_names(e), words).savefig(folder / "columns.png", dpi=DPI)
        return
    cells = [cell for i in range(min(count, MOST)) if (cell := thumb(e, f"sample {i}", i))]
    if cells:
        more = f"the first {len(cells)} are shown" if count > len(cells) else ""
        sheet(cells, words, more).savefig(folder / "contact.png", dpi=DPI)


def _spelled(name: str) -> str:
    """What of an input's name may stand in a file's."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40]
    return f"-{word}" if word else ""


def drawable(e: Explanation, sample: int = 0) -> bool:
    """Whether anything was given to anything, and the first input's part is finite."""
    if not e.seed.any() and not any(r.any() for r in e.relevance.values()):
        return False
    names = columns(e) or list(e.texts)[:1] or list(e.relevance)[:1]
    parts = [by_sample(e).relevance[name] for name in names]
    return all(r.ndim and r.size and np.isfinite(r[sample]).all() for r in parts)


def png(figure: Drawing) -> bytes:
    """The figure as a PNG file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def picture(e: Explanation, sample: int = 0) -> bytes:
    """The heatmap of one sample as PNG. UsageError where it has none."""
    figure = figure_of(e, sample, board=Painted) if drawable(e, sample) else None
    if figure is None:
        raise UsageError(
            "nothing to draw: the relevance is zero, not finite, or of a shape without a picture"
        )
    return png(figure)


def page(e: Explanation, sample: int = 0) -> str:
    """HTML for a notebook: what was explained in one sample, its coloured words or heatmap, what that shows, and the
    warnings."""
    lines = [f"<b>{html.escape(title(e, sample))}</b>"]
    if len(e.target) > 1:
        lines.append(f"{'the first' if not sample else f'sample {sample}'} of {len(e.target)} samples")
    if text := coloured_html(e, sample):
        lines.append(text)
    elif drawable(e, sample) and (figure := figure_of(e, sample, board=Painted)) is not None:
        data = base64.b64encode(png(figure)).decode("ascii")
        lines.append(f'<img alt="heatmap" style="max-width: 100%" src="data:image/png;base64,{data}">')
    lines += [html.escape(line) for line in (" ".join(shows(e, sample)), shares(e, sample)) if line]
    lines += [f"<i>warning: {html.escape(warning)}</i>" for warning in e.warnings]
    return "<div>" + "<br>\n".join(lines) + "</div>"
