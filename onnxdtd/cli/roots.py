"""`onnxdtd roots`: the root of a node's neurons, and whether each lies in the domain and in the linear region."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd roots model.onnx input.npy --node /3/Conv
  onnxdtd roots model.onnx input.npy --node fc1 --neurons 100 --target 3
                --method epsilon_plus --json

`onnxdtd inspect MODEL` shows the nodes. Z: the pre-activation. T: root = x - t v, with the direction v of the node's
rule; past 1 a z+ or z-box root leaves its domain. RESIDUAL: z at the root. REGION: whether the network from the node
on has one gradient from x to the root, else the unit that switches on the way; for networks that are not piecewise
linear the Taylor remainder as a part of the target's value."""


@grouped
def roots(
    model: options.Model,
    input: options.Input,
    node: Annotated[
        str, typer.Option(metavar="NAME", help="A linear node, by its name.", show_default=False)
    ],
    neurons: Annotated[int, typer.Option(metavar="N", help="How many of its active neurons to draw.")] = 20,
    target: options.Target = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    sample: Annotated[int, typer.Option(metavar="I", help="Which sample of the input.")] = 0,
    seed: Annotated[int, typer.Option(metavar="I", help="Of the drawing of neurons.")] = 0,
    scope: Annotated[
        str,
        typer.Option(
            metavar="S", help="The linear region of the whole network behind, or of the layer alone."
        ),
    ] = "network",
    explainer: Any = None,
    preprocess: options.Preprocess = None,
    image: Any = None,
    json_: options.Json = False,
) -> str:
    """Find the Taylor roots of a node's neurons: do they lie where the theory needs them?"""
    from onnxdtd.cli import roots_job

    return roots_job.roots(
        model,
        input,
        options.one(target),
        {"method": method, **explainer},
        preprocess,
        image,
        {"node": node, "neurons": neurons, "sample": sample, "seed": seed, "scope": scope},
        as_json=json_,
    )
