"""What random graphs are made of: each operator on a relevance path, in the tests' examples and other forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import onnx.defs
from onnx import numpy_helper

from onnxdtd.registry import OPS
from tests.support import integer_models
from tests.support.examples import EXAMPLES
from tests.support.fused_cases import CASES, Case, standard_attention
from tests.support.loops import NESTED, POWERS, RECURRENT, SWITCHED, TURNED, fixed, loop_model
from tests.support.single_op import Example, X
from tools.fuzz.draft import ML, Draft, UnfitError
from tools.fuzz.forms import MORE, OWN
from tools.fuzz.words import pick

Key = tuple[str, str]
ON_PATHS = ("linear", "route", "select", "elementwise", "gate", "norm", "recurrent", "loop", "expanded")
OPSETS = (9, 11, 13, 15, 17, 18, 20, 22, 24, 26)


@dataclass(frozen=True)
class Piece:
    """make(draft): adds the operator, and what further nodes may read of it. opset: for which the form is written.
    mixes: its first axis is no batch, so it stands in graphs of one sample."""

    key: Key
    opset: int
    mixes: bool
    make: Callable[[Draft], None]

    def stands_in(self, opset: int, ml: int) -> bool:
        """Whether an opset reads it the same way."""
        domain, op = self.key
        if domain == ML:
            return op in MORE or _since(op, ml, ML) == _since(op, 5 if op == "TreeEnsemble" else 3, ML)
        if domain:
            return opset >= 13
        return _since(op, opset) == _since(op, self.opset) if op not in EXPANDED else opset >= self.opset


def _since(op: str, opset: int, domain: str = "") -> int:
    try:
        return int(onnx.defs.get_schema(op, opset, domain).since_version)
    except onnx.defs.SchemaError:
        return 0


def _example(draft: Draft, example: Example) -> None:
    names = []
    for operand in example.inputs:
        if isinstance(operand, X):
            shape = operand.shape[1:] if draft.open else operand.shape
            names.append(draft.fit(shape, operand.within, operand.nonnegative))
        else:
            names.append("" if operand is None else draft.constant(operand))
    y = draft.add(
        example.op,
        *names,
        outputs="y" * example.outputs,
        domain=example.domain,
        **_attributes(example.attributes),
    )
    draft.keep(y)


def _attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "domain"}


def _fused(draft: Draft, case: Case) -> None:
    """The first input is data; a further one of as many axes may be."""
    names: list[str] = []
    for i, array in enumerate(case.inputs):
        if array is None:
            names.append("")
        elif array.dtype == np.float32 and array.ndim > 1 and (not i or draft.rng.random() < 0.15):
            names.append(draft.fit(array.shape))
        else:
            names.append(draft.constant(array))
    draft.keep(draft.add(case.op, *names, outputs=case.outputs, domain=case.domain, **case.attributes))


def _integers(draft: Draft, case: integer_models.Case) -> None:
    """With steps that are no round parts of each other: else every tenth value would lie halfway between two
    integers, where the last bit of a float decides."""
    model = integer_models.model_of(case)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.size == 1:
            uneven = array * np.float32(draft.rng.uniform(0.97, 1.03))
            tensor.CopyFrom(numpy_helper.from_array(uneven, tensor.name))
    draft.keep(draft.inline(model, draft.fit(case.shape)))


LOOPS = [
    ("Scan", RECURRENT, (5, 1, 3), True, {}), ("Scan", TURNED, (2, 4, 5), True, {}),
    ("Loop", POWERS, (3,), True, {"trips": 3, "most": 1e3}), ("Loop", NESTED, (3,), False, {"trips": 2, "inner": 2}),
    ("Loop", SWITCHED, (1, 3), True, {"trips": 2}),
]  # fmt: skip
EXPANDED = {"Attention", "RotaryEmbedding"}


@cache
def pieces() -> dict[Key, list[Piece]]:
    """By operator."""
    made: list[Piece] = []
    for example in EXAMPLES:
        key = example.domain, example.op
        made.append(Piece(key, example.opset, example.fixed, partial(_example, example=example)))
        if not example.fixed:
            made.append(Piece(key, example.opset, True, made[-1].make))
    for case in [case for cases in CASES.values() for case in cases] + list(standard_attention()):
        made.append(Piece((case.domain, case.op), case.opset, True, partial(_fused, case=case)))
    for one in integer_models.CASES.values():
        made.append(Piece((one.domain, one.op), one.opset, True, partial(_integers, case=one)))
    for op, ways in MORE.items():
        made += [Piece((ML, op), 13, mixes, make) for make in ways for mixes in (False, True)]
    for op, opset, mixes, make in OWN:
        made += [Piece(("", op), opset, True, make)] + (
            [] if mixes else [Piece(("", op), opset, False, make)]
        )
    for op, text, shape, mixes, numbers in LOOPS:
        make = partial(_loop, text=text, shape=shape, numbers=numbers)
        made.append(Piece(("", op), 17, mixes, make))
    table: dict[Key, list[Piece]] = {}
    for piece in made:
        entry = OPS.get(piece.key)
        if entry is not None and entry.kind in ON_PATHS:
            table.setdefault(piece.key, []).append(piece)
    return table


def _loop(draft: Draft, text: str, shape: tuple[int, ...], numbers: dict[str, Any]) -> None:
    full = shape if draft.open or len(shape) > 1 else (1, *shape)
    text = fixed(text.replace("COUNT", "inner"), **numbers)
    draft.keep(draft.inline(loop_model(text, opset=draft.opset), draft.fit(full)))


@cache
def chances(single: bool) -> tuple[list[int], np.ndarray, dict[int, tuple[list[Key], np.ndarray]]]:
    """Opsets and their probabilities, and for each its operators and theirs: all operators come up equally often."""
    table = {key: [p for p in ps if p.mixes == single] for key, ps in pieces().items()}
    usable = {
        opset: [key for key, ps in table.items() if any(p.stands_in(opset, _ml_of(opset)) for p in ps)]
        for opset in OPSETS
    }
    counts = {key: sum(key in keys for keys in usable.values()) for key in table}
    weights = {opset: np.array([1 / counts[key] for key in keys]) for opset, keys in usable.items()}
    sizes = np.array([weights[opset].sum() for opset in OPSETS])
    return (
        list(OPSETS),
        sizes / sizes.sum(),
        {opset: (usable[opset], weights[opset] / weights[opset].sum()) for opset in OPSETS},
    )


def _ml_of(opset: int) -> int:
    return 5 if opset in (20, 26) else 3


def random_draft(seed: int, asked: Key | None = None, count: int = 7) -> tuple[Draft, list[Key]]:
    """A graph of so many operators, and which ones; the one that is asked for among them. Raises UnfitError."""
    rng = np.random.default_rng(seed)
    single = bool(rng.random() < 0.55)
    if asked is not None and all(piece.mixes != single for piece in pieces()[asked]):
        single = not single
    opsets, likely, table = chances(single)
    if asked is not None:
        likely = likely * [asked in table[opset][0] for opset in opsets]
        likely = likely / likely.sum()
    opset = opsets[int(rng.choice(len(opsets), p=likely))]
    keys, weights = table[opset]
    draft = Draft(rng, opset, not single, _ml_of(opset))
    draft.feed(int(rng.integers(3, 9)))
    if rng.random() < 0.4:
        draft.feed(3, 6, 6)
    order = [keys[index] for index in rng.choice(len(keys), count, p=weights)]
    if asked is not None:
        order[int(rng.integers(count))] = asked
    used = []
    for key in order:
        forms = [p for p in pieces()[key] if p.mixes == single and p.stands_in(opset, draft.ml)]
        before = draft.mark()
        try:
            pick(rng, forms).make(draft)
            used.append(key)
        except UnfitError:
            draft.back(before)
    if asked is not None and asked not in used:
        raise UnfitError(asked)
    return draft, used
