"""Tokens, which cannot be moved by a little: integrated gradients over their vectors, occlusion by another token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.errors import UnsupportedError, UsageError
from tests.support.command_line import command_line
from tests.support.model_text import model
from tests.support.paths import GOLDENS

TABLE = np.array([[0.0], [1], [2], [-3]], np.float32)
SQUARE = model(
    "(int64[N, 3] ids) => (float[N, 1] y) { e = Gather(table, ids) s = ReduceSum(e, axis) y = Mul(s, s) }",
    table=TABLE, axis=np.array([1]),
)  # fmt: skip
IDS = np.array([[1, 2, 2], [3, 1, 1]])
ENGINES = ("numpy", "onnx")


def explained(method: str, engine: str = "numpy", source=SQUARE, x=IDS, **options: object):
    return onnxdtd.Explainer(source, method, engine, options=options)(x)


@pytest.mark.parametrize("engine", ENGINES)
def test_integrated_gradients_from_the_zero_vector(engine: str) -> None:
    """y = s^2, and on the way t s: the mean slope is s, so R_i = e_i s. Sums 5 and -1."""
    e = explained("integrated_gradients", engine)
    np.testing.assert_allclose(e.relevance["ids"], [[5, 10, 10], [3, -1, -1]], rtol=1e-6)
    np.testing.assert_allclose(e.seed, [25, 1], rtol=1e-6)
    assert e.relevance["ids"].shape == IDS.shape


@pytest.mark.parametrize("engine", ENGINES)
def test_integrated_gradients_from_the_vector_of_a_token(engine: str) -> None:
    """From (1, 1, 1): y goes from 9; the mean slope is s + 3, so R_i = (e_i - 1) (s + 3)."""
    e = explained("integrated_gradients", engine, baseline_token=1)
    np.testing.assert_allclose(e.relevance["ids"], [[0, 8, 8], [-8, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(e.seed, [25 - 9, 1 - 9], rtol=1e-6)
    assert e.extras["baseline_value"] == pytest.approx([9, 9])


@pytest.mark.parametrize("engine", ENGINES)
def test_occlusion_puts_the_token_in_each_place(engine: str) -> None:
    """Token 0 is worth nothing: 25 - 16, 25 - 9, 25 - 9; and 1 - 4, 1 - 4, 1 - 4 of (-3, 1, 1)."""
    e = explained("occlusion", engine, occlude=0)
    np.testing.assert_allclose(e.relevance["ids"], [[9, 16, 16], [-3, -3, -3]], rtol=1e-6)
    assert e.extras["sum_of_losses"] == pytest.approx([41, -9])


@pytest.mark.parametrize("engine", ENGINES)
def test_tokens_compared_with_all_of_them(engine: str) -> None:
    """A code of one place for each token, as JAX writes a look-up, times the table: the same numbers."""
    coded = model(
        "(int64[N, 3] ids) => (float[N, 1] y) { u = Unsqueeze(ids, last) q = Equal(u, all) c = Cast<to = 1>(q) "
        "e = MatMul(c, table) s = ReduceSum(e, axis) f = Flatten(s) y = Mul(f, f) }",
        table=TABLE, axis=np.array([1]), last=np.array([2]), all=np.arange(4),
    )  # fmt: skip
    e = explained("integrated_gradients", engine, coded)
    np.testing.assert_allclose(e.relevance["ids"], [[5, 10, 10], [3, -1, -1]], rtol=1e-6)
    e = explained("integrated_gradients", engine, coded, baseline_token=1)
    np.testing.assert_allclose(e.relevance["ids"], [[0, 8, 8], [-8, 0, 0]], rtol=1e-6, atol=1e-6)
    e = explained("occlusion", engine, coded, occlude=0)
    np.testing.assert_allclose(e.relevance["ids"], [[9, 16, 16], [-3, -3, -3]], rtol=1e-6)


def test_ids_in_another_shape_and_a_fixed_batch() -> None:
    """A Reshape before the table: relevance comes back to each token's place; chunks are filled up."""
    moved = model(
        "(int64[2, 3] ids) => (float[2, 1] y) "
        "{ f = Reshape(ids, flat) g = Gather(table, f) e = Reshape(g, back) s = ReduceSum(e, axis) y = Mul(s, s) }",
        table=TABLE, axis=np.array([1]), flat=np.array([-1]), back=np.array([2, 3, 1]),
    )  # fmt: skip
    e = explained("occlusion", source=moved, occlude=0)
    np.testing.assert_allclose(e.relevance["ids"], [[9, 16, 16], [-3, -3, -3]], rtol=1e-6)


def test_types_are_moved_with_the_tokens_and_never_covered() -> None:
    typed = model(
        "(int64[N, 2] ids, int64[N, 2] token_type_ids) => (float[N, 1] y) "
        "{ a = Gather(table, ids) b = Gather(types, token_type_ids) e = Add(a, b) y = ReduceSum(e, axis) }",
        table=TABLE, types=np.array([[10.0], [20]], np.float32), axis=np.array([1]),
    )  # fmt: skip
    x = {"ids": np.array([[1, 2]]), "token_type_ids": np.array([[0, 1]])}
    whole = explained("integrated_gradients", source=typed, x=x)
    np.testing.assert_allclose(whole.relevance["ids"], [[1, 2]], rtol=1e-6)
    np.testing.assert_allclose(whole.relevance["token_type_ids"], [[10, 20]], rtol=1e-6)
    other = explained("integrated_gradients", source=typed, x=x, baseline_token=3)
    np.testing.assert_allclose(other.relevance["ids"], [[4, 5]], rtol=1e-6)
    np.testing.assert_allclose(other.relevance["token_type_ids"], [[0, 0]], atol=1e-6)
    covered = explained("occlusion", source=typed, x=x, occlude=0)
    np.testing.assert_allclose(covered.relevance["ids"], [[1, 2]], rtol=1e-6)
    assert set(covered.relevance) == {"ids"}


@pytest.mark.parametrize("export", ["script", "attention"])
def test_a_transformer_gives_all_of_the_change_to_tokens_that_count(export: str) -> None:
    folder = GOLDENS / "transformer"
    golden = dict(np.load(folder / "relevance.npz"))
    explainer = onnxdtd.Explainer(folder / f"{export}.onnx", "integrated_gradients", options={"steps": 128})
    e = explainer({"ids": golden["ids"], "mask": golden["mask"]}, golden["target"].tolist())
    np.testing.assert_allclose(e.relevance["ids"].sum(axis=1), e.seed, rtol=2e-3)
    assert not e.relevance["ids"][golden["mask"] == 0].any()


def test_tokens_beside_floats_and_integers_that_are_only_cast() -> None:
    """y = k (x + e): k is a number and stays; x and the token both move, and both are covered."""
    both = model(
        "(float[N, 1] x, int64[N, 1] ids, int64[N, 1] k) => (float[N, 1] y) "
        "{ g = Gather(table, ids) e = Reshape(g, flat) s = Add(x, e) c = Cast<to = 1>(k) y = Mul(s, c) }",
        table=TABLE, flat=np.array([-1, 1]),
    )  # fmt: skip
    x = {"x": np.array([[5.0]], np.float32), "ids": np.array([[2]]), "k": np.array([[3]])}
    for method, option in (("integrated_gradients", {}), ("occlusion", {"occlude": 0})):
        e = explained(method, source=both, x=x, **option)
        amounts = {name: float(r[0, 0]) for name, r in e.relevance.items()}
        assert (amounts["x"], amounts["ids"]) == pytest.approx((15, 6))


def test_what_is_missing_or_does_not_fit_is_told() -> None:
    with pytest.raises(UsageError, match="--occlude ID"):
        explained("occlusion")
    narrow = model(
        "(int8[N, 3] ids) => (float[N, 1] y) "
        "{ i = Cast<to = 7>(ids) e = Gather(table, i) y = ReduceSum(e, axis) }",
        table=TABLE, axis=np.array([1]),
    )  # fmt: skip
    with pytest.raises(UsageError, match="token 300 does not fit into 'ids' of int8"):
        explained("occlusion", source=narrow, x=IDS.astype(np.int8), occlude=300)
    floats = model("(float[N, 2] x) => (float[N, 2] y) { y = Tanh(x) }")
    for method, option in (("occlusion", "occlude"), ("integrated_gradients", "baseline_token")):
        with pytest.raises(UsageError, match=option):
            explained(method, source=floats, x=np.ones((1, 2), np.float32), **{option: 1})
    with pytest.raises(UnsupportedError, match="cannot be moved"):
        explained("smoothgrad")


def test_the_command_line_covers_tokens_by_number(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = command_line(capsys, tmp_path, monkeypatch)
    onnx.save(SQUARE, tmp_path / "square.onnx")
    np.savez(tmp_path / "x.npz", ids=IDS[:1])
    words = ["run", tmp_path / "square.onnx", tmp_path / "x.npz", "-m", "occlusion", "-o", tmp_path / "out"]
    code, _, _ = cli(*words, "--occlude", "0")
    assert code == 0
    np.testing.assert_allclose(np.load(tmp_path / "out" / "relevance.npz")["ids"], [[9, 16, 16]], rtol=1e-6)
    assert cli(*words)[0] == 2


def test_an_output_without_an_axis_for_samples_is_explained_at_its_element() -> None:
    """y_t = v(t)^2 + v(t - 1) of one row of tokens: at t = 2, of values 1, 2, -3, token 0 (value 0) takes 9 of the
    last one and 2 of the one before."""
    source = model(
        "(int64[1, 3] ids) => (float[3] y) { e = Gather(table, ids) r = Reshape(e, three) q = Mul(r, r) "
        "b = Gather(r, before) y = Add(q, b) }",
        table=TABLE, three=np.array([3]), before=np.array([2, 0, 1]),
    )  # fmt: skip
    ids = np.array([[1, 2, 3]])
    e = onnxdtd.Explainer(source, "occlusion", options={"occlude": 0})(ids, 2)
    np.testing.assert_allclose(e.relevance["ids"], [[0, 2, 9]], atol=1e-6)
    e = onnxdtd.Explainer(source, "integrated_gradients", options={"steps": 64})(ids, 2)
    np.testing.assert_allclose(e.relevance["ids"], [[0, 2, 9]], atol=1e-3)


def test_nor_are_floats_taken_for_another_element() -> None:
    """y = (x0^2, 3 x1) of x (1, 2): f is y1."""
    text = """(float[1, 2] x) => (float[2] y) {
        r = Reshape(x, two) q = Mul(r, r) s = Mul(r, t) y = Where(first, q, s) }"""
    source = model(text, two=np.array([2]), t=np.float32(3), first=np.array([True, False]))
    x = np.float32([[5, 2]])
    for method in ("occlusion", "integrated_gradients"):
        e = onnxdtd.Explainer(source, method, input_range=(0, 9))(x, 1)
        np.testing.assert_allclose(e.relevance["x"][0, 0], 0, atol=1e-4)
    np.testing.assert_allclose(e.relevance["x"], [[0, 6]], rtol=1e-3)
