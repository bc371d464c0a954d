"""Pictures of an audit: convergence by depth, randomisation by depth, roots by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxdtd.audit.finding import Finding
from onnxdtd.render.canvas import DPI, HEADING, MARGIN, SMALL, Page
from onnxdtd.render.colours import BLUE, FAINT, GREY, INK, RED
from onnxdtd.render.library import matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, WIDTH, HEIGHT = 130, 1150, 520
ABOVE, BELOW = 2 * HEADING + 10, 110  # room for what is drawn and the legend; for names and the axis' label
NAMED = 12
"""Up to so many layers are named on the axis, more are numbered."""


def draw(findings: Sequence[Finding], folder: Path) -> list[str]:
    """Draw what the findings have series for; returns the names of the files."""
    by_name = {finding.name: finding for finding in findings if finding.value is not None}
    drawn = []
    for name, make in PICTURES.items():
        figure = make(by_name)
        if figure is not None:
            figure.savefig(folder / name, dpi=DPI)
            drawn.append(name)
    return drawn


def convergence(findings: Mapping[str, Finding]) -> Figure | None:
    """Median |cos| by depth for random and class seeds."""
    if "convergence" not in findings:
        return None
    finding = findings["convergence"]
    d = finding.details
    page, axes = _chart(
        "Cosine similarity convergence: does relevance forget what it explains?", "median |cos|"
    )
    _limit(axes, finding.threshold)
    _line(axes, d["random"], RED, "o", f"{d['seeds']} random seeds")
    if d["classes"]:
        _line(axes, d["classes"], BLUE, "s", "classes")
    _depth(axes, d["layers"], f"layer, from '{d['from']}' to the input")
    return _finished(page, axes)


def randomisation(findings: Mapping[str, Finding]) -> Figure | None:
    """Similarity with the original by depth, cascading and one layer at a time."""
    kinds = [findings[n] for n in ("cascading_randomisation", "independent_randomisation") if n in findings]
    if not kinds:
        return None
    page, axes = _chart(
        "Randomised weights: does the heatmap depend on what was learnt?", "cosine with the original"
    )
    _limit(axes, 0.9)
    names: dict[int, str] = {}
    for finding in kinds:
        d, down = finding.details, finding.name.startswith("cascading")
        words = "all layers down to this one" if down else "this layer alone"
        names |= dict(zip(d["depths"], d["layers"], strict=True))
        color, marker = (RED, "o") if down else (BLUE, "s")
        _line(axes, d["cosine"], color, marker, f"random: {words}", d["depths"])
    axes.set_ylim(bottom=min(-0.02, *(c - 0.04 for f in kinds for c in f.details["cosine"])))
    _depth(
        axes, [names[depth] for depth in sorted(names)], "layer, from the output to the input", sorted(names)
    )
    return _finished(page, axes)


def roots(findings: Mapping[str, Finding]) -> Figure | None:
    """The share of roots in their domain and in the linear region, with 95 % intervals, by layer."""
    if "roots_domain" not in findings:
        return None
    rows = findings["roots_domain"].details["layers"]
    page, axes = _chart("Roots: does the theory behind the rules hold here?", "share of the sampled neurons")
    _limit(axes, findings["roots_domain"].threshold)
    for key, color, marker, shift, label in (
        ("in_domain", BLUE, "s", -0.06, "root in the domain"),
        ("in_region", RED, "o", 0.06, "root in the linear region"),
    ):
        points = [(i + shift, row[key] / row["sampled"], row[f"{key}_interval"])
                for i, row in enumerate(rows) if row[key] is not None]  # fmt: skip
        if points:
            at, share, ends = zip(*points, strict=True)
            low, high = np.array(ends).T
            bars: dict[str, Any] = {"fmt": marker, "markersize": 4, "linewidth": 1.2, "capsize": 2.5}
            axes.errorbar(
                at, share, [share - low, high - share], color=color, label=label, clip_on=False, **bars
            )
    _depth(axes, [row["node"] for row in rows], "layer, from the output to the input; bars: 95 % intervals")
    return _finished(page, axes)


PICTURES = {"convergence.png": convergence, "randomisation.png": randomisation, "roots.png": roots}


def _chart(title: str, what: str) -> tuple[Page, Axes]:
    page = Page(LEFT + WIDTH + MARGIN, ABOVE + HEIGHT + BELOW, title)
    page.text(MARGIN, 0, what, SMALL, GREY)
    axes = page.place(LEFT, ABOVE, WIDTH, HEIGHT)
    axes.set(ylim=(-0.02, 1.04))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=FAINT, linewidth=0.6)
    axes.tick_params(labelsize=SMALL, length=2.5, width=0.5, color=FAINT, labelcolor=INK)
    return page, axes


def _line(
    axes: Axes,
    values: Sequence[float | None],
    color: str,
    marker: str,
    label: str,
    at: Sequence[int] | None = None,
) -> None:
    numbers = np.array([np.nan if v is None else v for v in values], np.float64)
    size = 4.0 if len(values) <= NAMED else 2.5
    where = np.arange(len(numbers)) if at is None else at
    style: dict[str, Any] = {"marker": marker, "markersize": size, "linewidth": 1.2, "clip_on": False}
    axes.plot(where, numbers, color=color, label=label, **style)


def _limit(axes: Axes, threshold: float) -> None:
    axes.axhline(
        threshold, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), label=f"threshold {threshold:g}"
    )


def _depth(axes: Axes, layers: Sequence[str], words: str, at: Sequence[int] | None = None) -> None:
    style: dict[str, Any] = {"fontsize": SMALL, "color": INK, "parse_math": False}
    if len(layers) <= NAMED:
        axes.set_xticks(
            at or range(len(layers)), [_short(name) for name in layers], rotation=18, ha="right", **style
        )
    else:
        axes.xaxis.set_major_locator(matplotlib("ticker").MaxNLocator(10, integer=True))
    axes.set_xlabel(words, fontsize=SMALL, color=GREY, parse_math=False)


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _finished(page: Page, axes: Axes) -> Figure:
    """With the legend above the axes, where it hides nothing."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "ncols": 3}
    axes.legend(fontsize=SMALL, frameon=False, labelcolor=INK, handlelength=1.6, borderpad=0, **place)
    return page.figure
