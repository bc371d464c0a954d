"""A table of made-up customers: numbers with gaps, and two columns of categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas

NUMBERS = ("age", "income", "debt", "visits", "years", "score")
CATEGORIES = {"city": ("Bern", "Oslo", "Rome", "Wien"), "plan": ("basic", "gold", "plus")}
ROWS, BACKGROUND, TRAIN = 600, 100, 2000


@dataclass(frozen=True)
class Table:
    """train, rows, background: columns by name. one, three: the classes of the training rows; amount: a number."""

    train: pandas.DataFrame
    rows: pandas.DataFrame
    background: pandas.DataFrame
    one: np.ndarray
    three: np.ndarray
    amount: np.ndarray


def table(seed: int = 0) -> Table:
    """Numbers as float32, so that the libraries and the file read the same ones; not rounded, for on a grid many
    lie as close to a threshold (the middle of two others) as an exporter's rounding moves it."""
    rng = np.random.default_rng(seed)
    count = TRAIN + ROWS + BACKGROUND
    numbers = rng.normal(size=(count, len(NUMBERS))) * [12, 3, 2, 4, 6, 1] + [45, 4, 1, 5, 8, 0]
    frame = pandas.DataFrame(numbers.astype(np.float32), columns=NUMBERS)
    for name, words in CATEGORIES.items():
        frame[name] = rng.choice(words, count)
    amount = frame["income"] - 1.5 * frame["debt"] + 2 * (frame["city"] == "Oslo") * frame["score"]
    amount += (frame["age"] > 50) * (frame["plan"] == "gold") * 3 + rng.normal(size=count)
    train, rows, background = np.split(np.arange(count), [TRAIN, TRAIN + ROWS])
    value = amount.to_numpy(np.float64)[:TRAIN]
    return Table(
        *(frame.iloc[part].reset_index(drop=True) for part in (train, rows, background)),
        (value > np.median(value)).astype(int), np.digitize(value, np.quantile(value, [1 / 3, 2 / 3])), value,
    )  # fmt: skip
