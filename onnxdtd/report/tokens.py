"""Text in reading order: each word or token behind a colour, as strong as its relevance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.types import Array

LEVELS = 8
MOST = 2000


def reading(words: Sequence[str], relevance: Array) -> Markup:
    """words: as they are read; relevance: of each."""
    largest = float(np.abs(relevance).max(initial=0)) or 1.0
    shown = [
        tag("span", word, class_=_tint(float(r) / largest), title=amount(float(r)))
        for word, r in zip(words[:MOST], relevance, strict=False)
    ]
    more = [tag("p", f"{len(words) - MOST} more are not shown")] if len(words) > MOST else []
    return tag("div", *(part for word in shown for part in (word, " ")), *more, class_="tokens")


def _tint(share: float) -> str:
    level = round(LEVELS * abs(share))
    return f"{'for' if share > 0 else 'against'}-{level}" if level else "level"
