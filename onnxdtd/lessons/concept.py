"""`concepts`: what a layer's channels stand for, by the inputs that they matter for.

Concept relevance propagation (Achtibat et al. 2023, "From attribution maps to human-understandable explanations
through concept relevance propagation"): the relevance of a channel says which concept the model used for a row, its
reference rows what the concept is, and the walk with all other channels masked where in the input it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.datasets.recipe import Reopened, reopened
from onnxdtd.each import explain_each
from onnxdtd.errors import InputError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.folder import plain, write_folder
from onnxdtd.inputs import Row, Tokenizer, open_data
from onnxdtd.lessons.channels import Channels, layer_at, reduced, tallied
from onnxdtd.lessons.features import features
from onnxdtd.lessons.gallery import draw_channel, draw_located
from onnxdtd.lessons.layers import Layer, layer_of
from onnxdtd.lessons.references import Located, Reference, described
from onnxdtd.settings import passes_entry
from onnxdtd.sheets import write_csv
from onnxdtd.types import Array
from onnxdtd.workers import reread

SCHEMA = "onnxdtd.concepts/1"
REDUCTIONS = ("sum", "max")
SIDE = 20
"""Pixels along a heatmap that is compared with others."""


@dataclass(frozen=True)
class Concepts:
    """layer: whose channels these are. classes: by class, its channels with `channel`, `share` (of a row's
    |relevance| in the layer, on average), `relevance` (on average), `positive` (share of the rows) and `rows`, those
    of the largest share first. relevant, active: by channel, its reference rows by RelMax and by ActMax, the largest
    first, of all classes that were counted. left_out: rows whose relevance is not finite."""

    folder: Path
    layer: Layer
    classes: Mapping[str, tuple[Mapping[str, Any], ...]]
    relevant: Mapping[int, tuple[Reference, ...]]
    active: Mapping[int, tuple[Reference, ...]]
    left_out: int
    settings: Mapping[str, Any]
    made: Reopened = field(repr=False, compare=False)

    def where(self, row: Any, channels: Sequence[int] = (), top: int = 4) -> Located:
        """The conditional heatmaps of one row: by the id that it has in the job, or as inputs (a file, arrays).
        channels: which; by default the `top` most relevant ones. Raises InputError, UsageError."""
        one = self._row(row)
        explainer, name = self.made.explainer, self.layer.name
        whole = explainer(one.inputs, self.made.target, keep=[name])
        sums = reduced(layer_at(self.made, self.layer, one, whole.kept[name])[0], self.layer.axis, "sum")
        total = np.abs(sums).sum() or 1.0
        chosen = list(channels) or np.argsort(-sums, kind="stable")[:top].tolist()
        shares = {int(c): float(sums[c] / total) for c in chosen if 0 <= c < len(sums)}
        parts = {
            c: self.conditional(one.inputs, c) for c in chosen
        }  # which refuses a channel that is not there
        return Located(one, whole, shares, parts)

    def conditional(self, inputs: Mapping[str, Array], channel: int) -> Explanation:
        """The explanation of inputs with all other channels of the layer masked."""
        only = {self.layer.name: {self.layer.axis: [channel]}}
        return self.made.explainer(inputs, self.made.target, only=only)

    def parts(self, channel: int) -> dict[str, tuple[Row, Explanation]]:
        """By id, each reference row of one of the described channels with its conditional explanation."""
        if self.made.data is None:
            raise InputError(f"'{self.folder}' was explained from data in memory: name them (--data, data=)")
        only = {self.layer.name: {self.layer.axis: [channel]}}
        chosen = sorted({(r.place, r.id) for r in (*self.relevant[channel], *self.active[channel])})
        rows = (replace(row, id=name) for name, row in reread(self.made.data, chosen))
        explained = explain_each(self.made.explainer, rows, self.made.target, only=only)
        return {row.id: (row, e) for row, e in explained}

    def agreement(
        self, channel: int, parts: Mapping[str, tuple[Row, Explanation]] | None = None
    ) -> float | None:
        """Whether the conditional heatmaps of a channel's RelMax rows are at the same place, -1 to 1: the mean cosine
        of any two, made small as clusters take them. 1 is what an artefact does that never moves. None where fewer
        than two rows can be compared."""
        parts = self.parts(channel) if parts is None else parts
        maps = [features(parts[r.id][1].relevance, SIDE) for r in self.relevant[channel]]
        rows = [row for row in maps if row is not None]
        if len(rows) < 2 or len({row.size for row in rows}) > 1:
            return None
        cosines = np.stack(rows) @ np.stack(rows).T
        return float((cosines.sum() - np.trace(cosines)) / (len(rows) * (len(rows) - 1)))

    def save(self, directory: str | Path, pictures: bool = True, located: Located | None = None) -> Path:
        """Write concepts.json, channels.csv, references.csv, and with pictures a grid of reference rows for each
        channel, whose `agreement` is then in the JSON too. located: what `where` gave, drawn too. Raises UsageError
        where the folder holds something else."""

        def fill(folder: Path) -> dict[str, Any]:
            write_csv(folder / "channels.csv", self.lines)
            write_csv(folder / "references.csv", self.reference_lines)
            more: dict[str, Any] = {"agreement": self._draw(folder)} if pictures else {}
            if located is not None:
                more["where"] = located.document()
                if pictures:
                    draw_located(located, folder / "where.png", self.layer.name)
            return self.document() | more

        return write_folder(directory, SCHEMA, fill)

    def document(self) -> dict[str, Any]:
        """For JSON: settings, the channels of each class, the references of each channel."""
        references = {
            str(c): {
                "relmax": [asdict(r) for r in self.relevant[c]],
                "actmax": [asdict(r) for r in self.active[c]],
            }
            for c in self.relevant
        }
        document = {"settings": self.settings, "classes": self.classes, "references": references}
        return dict(plain({**document, "left_out": self.left_out}))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """A mapping for each class and channel."""
        return [{"class": name, **entry} for name, entries in self.classes.items() for entry in entries]

    @property
    def reference_lines(self) -> list[dict[str, Any]]:
        """A mapping for each reference row."""
        return [
            {"channel": c, "by": by, "rank": rank, "id": r.id, "class": r.name, "value": r.value}
            for by, kind in (("relmax", self.relevant), ("actmax", self.active))
            for c, rows in kind.items()
            for rank, r in enumerate(rows, 1)
        ]

    def _draw(self, folder: Path) -> dict[str, float | None]:
        """channel-C.png for each channel, where rows have pictures; the agreement of each."""
        agreements = {}
        for c in self.relevant:
            parts = self.parts(c)
            agreements[str(c)] = self.agreement(c, parts)
            of = [
                name for name, entries in self.classes.items() if c in [entry["channel"] for entry in entries]
            ]
            heading = f"channel {c} of {self.layer.name}, of the most relevant ones for {', '.join(of)}"
            draw_channel(folder / f"channel-{c}.png", heading, self.relevant[c], self.active[c], parts)
        return agreements

    def _row(self, row: Any) -> Row:
        results = Results(self.folder)
        if isinstance(row, str) and row in results.ids:
            if self.made.data is None:
                raise InputError(
                    f"'{self.folder}' was explained from data in memory: name them (--data, data=)"
                )
            return replace(next(reread(self.made.data, [(results[row]["row"], row)]))[1], id=row)
        if isinstance(row, (str, Path)) and not Path(row).exists():
            raise InputError(
                f"no row and no file is named '{row}'; the first rows are {', '.join(results.ids[:5])}"
            )
        explainer = self.made.explainer
        return next(iter(open_data(row, explainer.inputs, preprocess=explainer.preprocess,
                                   features=explainer.loaded.features)))  # fmt: skip


def concepts(
    results: Results | str | Path,
    layer: str | None = None,
    *,
    axis: int | None = None,
    classes: Collection[str] = (),
    top: int = 5,
    references: int = 6,
    relmax: str = "sum",
    actmax: str = "max",
    tokenizer: Tokenizer | None = None,
    explainer: Explainer | None = None,
    model: str | Path | None = None,
    data: Any = None,
) -> Concepts:
    """The channels that the rows of a job were explained by (concept relevance propagation, Achtibat et al. 2023).

    With R the relevance and z the activation of a channel c of the layer, at all positions of a row,

        r_c = sum R (relmax "sum") or max R,    a_c = max z (actmax "max") or sum z,    share_c = r_c / sum_c' |r_c'|

    layer: a value or node inside the model, by default its last feature map, see `layer_of`; axis: of its channels.
    classes: only their rows. top: channels of each class, those of the largest mean share. references: rows of each
    of these, those of the largest r_c (RelMax) and of the largest a_c (ActMax). tokenizer: which writes tokens in
    pictures, see `Explainer`. explainer, model, data: instead of
    what the manifest names; the model must be the one that was explained.

    Rows are read and explained again, a few at a time, unless `batch --keep` has stored the layer. Raises UsageError
    for an unknown layer, InputError where the model or the data are others now, or not to be found.
    """
    results = results if isinstance(results, Results) else Results(results)
    for what, how in (("relmax", relmax), ("actmax", actmax)):
        if how not in REDUCTIONS:
            raise UsageError(f"{what} is {' or '.join(REDUCTIONS)}, not {how!r}")
    for what, number in (("top", top), ("references", references)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"{what} is a number of 1 or more, not {number!r}")
    made = reopened(results.folder, explainer, model, data)
    if tokenizer is not None:
        made = replace(made, explainer=made.explainer.by(tokenizer=tokenizer))
    question = made.explainer.loaded.question(made.target)
    plan = made.explainer.plan(question.output)
    if many := passes_entry(made.explainer.method) or passes_entry(plan.passes):
        raise UsageError(
            f"'{results.folder}' was explained by {many.name}, which takes many passes, and concepts need one walk: "
            "run batch with another method, such as epsilon_plus"
        )
    chosen = layer_of(plan, layer, axis)
    counted = tallied(
        results, made, chosen, classes=classes, references=min(references, max(len(results), 1)), relmax=relmax,
        actmax=actmax,
    )  # fmt: skip
    ranked = {name: _ranked(counted, name, top) for name in sorted(counted.rows)}
    channels = sorted({entry["channel"] for entries in ranked.values() for entry in entries})
    relevant, active = described(results, counted, channels)
    settings = {"layer": chosen.name, "axis": chosen.axis, "channels": chosen.channels, "why": chosen.why,
                "classes": list(classes), "top": top, "references": references, "relmax": relmax, "actmax": actmax,
                "batch": str(results.folder)}  # fmt: skip
    return Concepts(results.folder, chosen, ranked, relevant, active, counted.left_out, settings, made)


def _ranked(counted: Channels, name: str, top: int) -> tuple[Mapping[str, Any], ...]:
    rows = counted.rows[name]
    shares = counted.shares[name] / rows
    return tuple(
        {"channel": c, "share": float(shares[c]), "relevance": float(counted.sums[name][c] / rows),
         "positive": float(counted.positive[name][c] / rows), "rows": rows}
        for c in np.argsort(-shares, kind="stable")[:top].tolist()
    )  # fmt: skip
