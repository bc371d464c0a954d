"""Which engine `auto` takes: compiling costs time once, and then saves some with every sample.

The times are measured on two cores, on networks from a table's to VGG16 and BERT-base, and fitted by hand; they
foretell the measured number of samples at which both engines took equally long within a factor of two.
"""

from __future__ import annotations

import math

from onnxdtd.plan.plan import Plan
from onnxdtd.plan.reach import LAYERS

REARRANGED = 1 << 29
"""Bytes of weights that are held twice at most, for the sake of time."""
MANY = 64
"""Samples that a method of many passes counts as."""

# Seconds, once: to trace a node and start it in a session, and to read and prepare a byte of weights.
NODE_ONCE, BYTE_ONCE = 2e-3, 3e-9
# Seconds saved with a sample: by node, and by multiplication; NumPy is slow at convolutions of many groups.
NODE, MULTIPLICATION, GROUPED = 1e-4, 2e-11, 1.5e-9


def choose(plan: Plan, samples: int) -> tuple[str, str]:
    """The engine for a plan that is to explain so many samples in all, and why."""
    if not plan.graph.nodes:
        return "numpy", "there is nothing to compile"
    enough = break_even(plan)
    amount = "1 sample" if samples == 1 else f"{samples} samples"
    pays = f"compiling pays from about {enough} on" if enough > 1 else "compiling pays at once"
    return ("onnx" if samples >= enough else "numpy"), f"{amount}, and for this model {pays}"


def break_even(plan: Plan) -> int:
    """The number of samples from which on compiling is estimated to pay."""
    dense, grouped = multiplications(plan)
    weights = sum(array.nbytes for array in plan.graph.constants.values())
    once = NODE_ONCE * len(plan.graph.nodes) + BYTE_ONCE * weights
    saved = NODE * len(plan.graph.nodes) + MULTIPLICATION * dense + GROUPED * grouped
    return math.ceil(once / saved)


def multiplies_rows(plan: Plan) -> bool:
    """Whether most weights are matrices that many rows are multiplied by (tokens, patches), and can be held twice:
    then rearranging them once pays."""
    constants, shared = plan.graph.constants, 0
    for step in plan.steps:
        if step.op.family == "dense" and len(plan.graph.value(step.node.output).shape or ()) > 2:
            shared += sum(constants[v].nbytes for v in step.node.inputs if v in constants)
    total = sum(array.nbytes for array in constants.values())
    return total / 2 < shared <= REARRANGED


def multiplications(plan: Plan) -> tuple[int, int]:
    """Of one sample's forward pass through convolutions and dense ops: with one group, and with more. Sizes that are
    not known count as 1."""
    counts = [0, 0]
    for step in plan.steps:
        sizes = [plan.graph.constants[v].size for v in step.node.inputs if v in plan.graph.constants]
        if step.op.family in LAYERS and sizes:
            places = plan.graph.value(step.node.output).shape or ()
            places = places[2:] if step.op.family == "convolution" else places[1:-1]
            count = max(sizes) * math.prod(size for size in places if isinstance(size, int))
            counts[step.node.attributes.get("group", 1) > 1] += count
    return counts[0], counts[1]
