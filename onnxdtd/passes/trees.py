"""Tree ensembles by their own methods: what each feature adds to the raw score, exactly."""

from __future__ import annotations

from typing import Any

from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.model.trees.forest import Forest
from onnxdtd.model.trees.shapley import interventional, path_dependent
from onnxdtd.passes.summands import as_a_sum
from onnxdtd.plan.forests import read_by_trees
from onnxdtd.plan.step import Step
from onnxdtd.registry import many_passes
from onnxdtd.types import Array, OnProgress


@many_passes("saabas", base="attnlrp", adds_up=True)
def saabas(explainer: Explainer, x: Any, target: Any = None, *, progress: OnProgress = None) -> Explanation:
    """R_i = the change of the expected score at every split that asks feature i, along the path that x takes.

    For models whose scores are sums of trees and of functions of single inputs. A node's expected score is the mean
    over the leaves below it, each counted by the rows of `background`, else by the counts that the model stores, else
    once. `constant`: of each sample, the expected score of all. Source: Saabas 2014 (treeinterpreter).
    """
    _refuse_without_trees(explainer, "saabas")
    return as_a_sum(
        explainer, x, target, progress, "saabas", lambda step, forest, rows: forest.saabas(rows)[0]
    )


@many_passes("tree_shap", base="attnlrp", adds_up=True)
def tree_shap(
    explainer: Explainer, x: Any, target: Any = None, *, progress: OnProgress = None
) -> Explanation:
    """R_i = the Shapley value of feature i in the raw score, for models whose scores are sums of trees.

    With `background` (interventional) features that are left out are as in its rows, and `constant` is the mean over
    them; without, they go both ways as often as the counts that the model stores (path-dependent). Equal to shap's
    TreeExplainer. Raises UsageError where there is neither. Source: Lundberg et al. 2020.
    """
    _refuse_without_trees(explainer, "tree_shap")
    background = explainer.graph.background

    def shares(step: Step, forest: Forest, rows: Array) -> Array:
        if step.node.inputs[0] in background:
            return interventional(forest, rows, background[step.node.inputs[0]])[0]
        if not forest.counted:
            raise UsageError(
                f"{step.node} stores no counts of samples, by which features are left out: give rows of your data as "
                "background (--background ROWS), or take saabas"
            )
        return path_dependent(forest, rows)[0]

    return as_a_sum(explainer, x, target, progress, "tree_shap", shares)


def _refuse_without_trees(explainer: Explainer, method: str) -> None:
    if not read_by_trees(explainer.graph):
        raise UnsupportedError(f"{method} explains tree ensembles, and the model has none; take auto")
