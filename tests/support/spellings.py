"""Functions that a model can spell in several ways, and whether every method explains the ways alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx

import onnxdtd
from onnxdtd.methods import METHODS
from tests.support.model_text import model

TRACED = ("dtd", "epsilon_gamma", "gradient")


@dataclass(frozen=True, eq=False)
class Function:
    """forms: a model by the name of its spelling, of which the first is what the others are compared with; shape: of
    its input x; target: of its output."""

    forms: Mapping[str, onnx.ModelProto]
    shape: tuple[int, ...]
    target: tuple[int, ...]

    @classmethod
    def of(
        cls,
        texts: Mapping[str, str],
        shape: tuple[int, ...],
        target: tuple[int, ...],
        constants: Mapping[str, Any],
    ) -> Function:
        """Of texts with the same constants."""
        return cls({name: model(text, **constants) for name, text in texts.items()}, shape, target)

    @classmethod
    def behind_relu(
        cls,
        head: str,
        forms: Mapping[str, str],
        shape: tuple[int, ...],
        target: tuple[int, ...],
        constants: Mapping[str, Any],
    ) -> Function:
        """Of a = relu(x). head: the inputs and outputs of the text."""
        texts = {name: f"{head} {{ a = Relu(x) {form} }}" for name, form in forms.items()}
        return cls.of(texts, shape, target, constants)

    @cache  # noqa: B019 (as long as the tests run)
    def relevance(self, form: str, engine: Any) -> dict[str, Any]:
        """Of the input of the function spelled so, by each method."""
        explainer = onnxdtd.Explainer(self.forms[form], input_range=(-4, 4))
        x = np.random.default_rng(1).normal(size=self.shape).astype(np.float32)
        return {
            method: explainer.by(method, engine=engine)(x, self.target).relevance["x"]
            for method in (sorted(METHODS) if engine == "numpy" else TRACED)
        }

    def check(self, form: str, engine: Any) -> None:
        """Raise unless each method gives the form's input the relevance that it gives to the first form's."""
        expected = self.relevance(next(iter(self.forms)), engine)
        for method, r in self.relevance(form, engine).items():
            scale = 1e-5 * np.abs(expected[method]).max()
            np.testing.assert_allclose(r, expected[method], rtol=1e-5, atol=scale, err_msg=method)
