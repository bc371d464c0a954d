"""Every operator of the installed onnx has a verdict, and the table says what the code does."""

from __future__ import annotations

import pytest
from onnx import defs

from onnxdtd import OPS
from onnxdtd.model.functions import EXPANDED

SCHEMAS = sorted({(s.domain, s.name) for s in defs.get_all_schemas() if s.domain in ("", "ai.onnx.ml")})


def test_every_operator_of_the_standard_has_a_verdict() -> None:
    assert [key for key in SCHEMAS if key not in OPS] == []


def test_there_is_no_verdict_on_what_does_not_exist() -> None:
    schemas = {(s.domain, s.name) for s in defs.get_all_schemas_with_history()}
    assert [key for key in OPS if key[0] in ("", "ai.onnx.ml") and key not in schemas] == []


@pytest.mark.parametrize("key", sorted(OPS), ids="-".join)
def test_a_verdict_is_complete(key: tuple[str, str]) -> None:
    entry = OPS[key]
    assert entry.doc, "an operator without a word on what it is, or why not"
    assert (entry.site is None) == (entry.kind in ("loop", "barrier", "expanded", "refuse")) or entry.embeds
    history = [s for s in defs.get_all_schemas_with_history() if (s.domain, s.name) == key]
    if history and entry.site is not None:
        most = max(len(s.inputs) for s in history)
        variadic = any(
            i.option == defs.OpSchema.FormalParameterOption.Variadic for s in history for i in s.inputs
        )
        slots = {*(entry.data or ()), *entry.factors, *entry.embeds}
        assert variadic or all(slot < most for slot in slots)
        assert entry.since <= max(s.since_version for s in history)


def test_what_is_expanded_has_a_body() -> None:
    for name in EXPANDED:
        schema = defs.get_schema(name)
        assert schema.has_function or schema.has_context_dependent_function, name
