"""The page's figures: ten digits by many methods, how alike methods are, every score, and every place."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from onnxdtd.render.canvas import DPI, MARGIN, Page, text_width
from onnxdtd.render.colours import BLUE, FAINT, INK, RED, SIGNED, Scale
from tools.methods_page.asked import CONTROLS, DELETION, INSERTION, flips, holds_zero, order, removal, short
from tools.methods_page.data import Array

GREY, PLAIN = "#6b6b6b", "#a8a8a8"
PALE = LinearSegmentedColormap.from_list("places", ["#2f6f4f", "#8fc3a2", "#f7f7f4"])
CELL, BETWEEN, LABELS, FONT = 112, 10, 72, 6.5
SHOWN = (
    "gradient", "smoothgrad", "gradient_x_input", "integrated_gradients", "guided_backprop", "grad_cam", "occlusion",
    "taylor", "dtd", "excitation_backprop", "epsilon_plus", "composite", "lime", "kernel_shap",
)  # fmt: skip


def save(figure: Figure, path: Path) -> None:
    """As a PNG of 256 colours."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def digits(pictures: Sequence[Array], maps: Sequence[Mapping[str, Array]]) -> Figure:
    """A digit a row, a method a column; every map has its own scale."""
    across, pitch = len(SHOWN) + 1, CELL + BETWEEN
    page = Page(2 * MARGIN + across * pitch, LABELS + len(pictures) * pitch + 30, "")
    for column, name in enumerate(("input", *SHOWN)):
        lines = _broken(name)
        for k, line in enumerate(lines):
            page.text(MARGIN + column * pitch, LABELS - 12 - 26 * (len(lines) - k), line, FONT, INK)
    for row, (picture, by) in enumerate(zip(pictures, maps, strict=True)):
        for column, method in enumerate((None, *SHOWN)):
            axes = page.place(MARGIN + column * pitch, LABELS + row * pitch, CELL, CELL)
            if method is None:
                axes.imshow(picture, cmap="gray_r", interpolation="nearest")
            else:
                flat = by[method].sum(axis=0)
                axes.imshow(Scale.of(flat, 99.5).colours(flat), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(linewidth=0.4, color=FAINT)
    _key(page, LABELS + len(pictures) * pitch + 8)
    return page.figure


def likeness(panels: Mapping[str, Mapping[str, Any]], measure: str) -> Figure:
    """Matrices side by side, in the order that puts alike methods beside each other in the first."""
    first = next(iter(panels.values()))
    order = [first["methods"][i] for i in _alike(np.array(first[measure], np.float64))]
    side = 0.285 * len(order)
    figure = _figure(1.9 + len(panels) * (side + 0.25), side + 1.95)
    for k, (title, told) in enumerate(panels.items()):
        names = [m for m in order if m in told["methods"]]
        rows = [told["methods"].index(m) for m in names]
        table = np.array(told[measure], np.float64)[np.ix_(rows, rows)]
        axes = _axes(figure, 1.75 + k * (side + 0.25), 1.55, side, side)
        axes.imshow(table, cmap=ListedColormap(SIGNED.table), vmin=-1.15, vmax=1.15)
        _cells(axes, table, _hundredths, 5.6, abs(table) > 0.62)
        axes.set_xticks(range(len(names)), names, rotation=55, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names if k == 0 else [""] * len(names))
        axes.tick_params(pad=2)
        axes.set_title(title, loc="left", fontsize=9, color=INK)
    return figure


def scores(told: Mapping[str, Any]) -> Figure:
    """A panel for each score; red: the best, and what its paired difference does not tell from it."""
    rows = [*order(told), *CONTROLS]
    pixels, regions = ([s for s in flips(told) if s.startswith(kind)] for kind in ("pixel", "region"))
    rest = [s for s in told["scores"] if s not in (*flips(told), DELETION, INSERTION)]
    grid = [[*pixels, DELETION], [*regions, INSERTION], rest]
    high = 0.148 * len(rows) + 0.62
    figure = _figure(1.55 + 2.3 * len(grid[0]), 3 * high + 0.5)
    width, height = figure.get_size_inches()
    for i, line in enumerate(grid):
        for j, score in enumerate(line):
            axes = _axes(figure, 1.5 + 2.3 * j, height - (i + 1) * high + 0.35, 2.15, high - 0.6)
            _panel(axes, told, score, rows, names=j == 0)
    key = ((0.0, RED, "best, or not told from the best (paired, 95 %)"), (2.8, INK, "told from the best"),
           (4.2, PLAIN, "control; grey band: random"))  # fmt: skip
    for left, colour, text in key:
        figure.text((1.5 + left) / width, 0.24 / height, "●", fontsize=8, color=colour)
        figure.text((1.64 + left) / width, 0.24 / height, text, fontsize=7.5, color=INK)
    figure.text(1.5 / width, 0.06 / height, "→ higher is better, ← lower is better", fontsize=7.5, color=INK)
    return figure


def places(studies: Mapping[str, Mapping[str, Any]]) -> Figure:
    """The place of each method by each score, the best mean place by removal scores on top."""
    most = max(len(told["mean_place"]) for told in studies.values())
    widths = [len(told["scores"]) * 0.42 for told in studies.values()]
    figure = _figure(sum(widths) + 1.75 * len(widths) + 0.3, most * 0.25 + 1.5)
    width, height = figure.get_size_inches()
    left = 0.0
    for (title, told), wide in zip(studies.items(), widths, strict=True):
        rows = order(told)
        table = np.array([[told["place"][m][s] for s in told["scores"]] for m in rows])
        tall = 0.25 * len(rows)
        axes = _axes(figure, left + 1.55, height - 1.35 - tall, wide, tall)
        axes.imshow(table, cmap=PALE, vmin=1, vmax=most, aspect="auto")
        _cells(axes, table, "{:g}".format, 7, table < 0.3 * len(rows))
        axes.set_xticks(range(len(told["scores"])), [short(s) for s in told["scores"]])
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False, labelrotation=45)
        for label in axes.get_xticklabels():
            label.set(ha="left", rotation_mode="anchor")
        axes.axvline(len(removal(told)) - 0.5, color="white", linewidth=4)
        figure.text((left + 0.1) / width, 1 - 0.22 / height, title, fontsize=9, color=INK)
        left += 1.75 + wide
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure((width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, left: float, bottom: float, wide: float, tall: float) -> Axes:
    """In inches."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, bottom / height, wide / width, tall / height))


def _cells(axes: Axes, table: Array, text: Callable[[float], str], size: float, dark: Array) -> None:
    """A number in every cell of a table of colours."""
    for (i, j), value in np.ndenumerate(table):
        colour = "white" if dark[i, j] else INK
        axes.text(j, i, text(value), ha="center", va="center", fontsize=size, color=colour)
    axes.tick_params(length=0, labelsize=7, labelcolor=INK, pad=3)
    axes.spines[:].set_visible(False)


def _panel(axes: Axes, told: Mapping[str, Any], score: str, rows: Sequence[str], *, names: bool) -> None:
    chance = told["table"]["random"][score]
    axes.axvspan(chance["low"], chance["high"], color="#e4e4e4", linewidth=0)
    zero: dict[str, Any] = {"fontsize": 6.5, "va": "center_baseline", "color": INK}
    for place, method in enumerate(rows):
        one, apart = told["table"][method][score], told["from_best"][method][score]
        if not one["count"]:
            continue
        best = method == told["best"][score] or holds_zero(apart)
        colour = PLAIN if method in CONTROLS else RED if best else INK
        if score.startswith("stability") and not one["mean"]:  # the axis is logarithmic
            axes.text(0.01, place, "0", transform=axes.get_yaxis_transform(), **zero)
        axes.plot([one["low"], one["high"]], [place, place], color=colour, linewidth=1.2)
        axes.plot([one["mean"]], [place], "o", color=colour, markersize=3.6)
    axes.set(ylim=(len(rows) - 0.4, -0.6))
    if score.startswith("stability"):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), rows if names else [""] * len(rows))
    axes.tick_params(labelsize=7, length=2, width=0.5, color=FAINT, labelcolor=INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=FAINT, alpha=0.22, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=FAINT, linewidth=0.6)
    arrow = "→" if told["better"][score] == "higher" else "←"
    axes.set_title(f"{short(score)} {arrow}", loc="left", fontsize=8, color=INK)


def _alike(table: Array) -> list[int]:
    """By the angle between the two leading eigenvectors. Source: Friendly 2002 (corrgrams)."""
    _, vectors = np.linalg.eigh(np.nan_to_num(table))
    angle = np.arctan2(vectors[:, -2], vectors[:, -1])
    gaps = np.diff(np.append(np.sort(angle), np.sort(angle)[0] + 2 * np.pi))
    start = np.sort(angle)[(int(gaps.argmax()) + 1) % len(angle)]
    return [int(i) for i in np.argsort((angle - start) % (2 * np.pi))]


def _hundredths(value: float) -> str:
    if value > 0.995:
        return "1"
    return "" if np.isnan(value) else f"{value:.2f}".replace("0.", ".").replace("-", "−")


def _broken(name: str) -> list[str]:
    """At its underscores, where a line is too narrow."""
    lines = [""]
    for part in name.replace("_", "_ ").split():
        joined = lines[-1] + part
        lines = [*lines[:-1], joined] if text_width(joined, FONT) <= CELL else [*lines, part]
    return [line for line in lines if line]


def _key(page: Page, top: float) -> None:
    page.text(MARGIN, top, "against", FONT, BLUE)
    left = MARGIN + text_width("against", FONT) + 14
    axes = page.place(left, top + 6, 180, 13)
    axes.imshow(SIGNED(np.linspace(0, 1, 256))[None, :, :3], aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(linewidth=0.4, color=FAINT)
    page.text(left + 194, top, "for the class that the network names", FONT, RED)
    right = left + 230 + text_width("for the class that the network names", FONT)
    page.text(right, top, "each map to its own percentile 99.5 of |relevance|", FONT, GREY)
