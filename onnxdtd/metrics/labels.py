"""What the data call an input, as a class of the model."""

from __future__ import annotations

from collections.abc import Sequence

from onnxdtd.errors import InputError, UsageError
from onnxdtd.inputs import Row
from onnxdtd.inputs.members import LABELS
from onnxdtd.printing import is_whole


def class_of(row: Row, names: Sequence[str] | None) -> int:
    """The number of a row's label: itself, or the class of that name. UsageError where it has none, InputError where
    none is called so."""
    label = row.label
    if label is None:
        raise UsageError(
            f"target label needs labels, and '{row.id}' has none: an array '{LABELS}' in the .npz, a column 'label', "
            "sub-folders that are named like classes, or labels="
        )
    if isinstance(label, int) or is_whole(label):
        return int(label)
    if names and label in names:
        return list(names).index(label)
    called = (
        f"; they are {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else " (--labels)"
    )
    raise InputError(
        f"the label '{label}' of '{row.id}' is no number, and no class of the model is called so{called}"
    )
