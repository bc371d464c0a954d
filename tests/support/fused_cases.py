"""Nodes of onnxruntime's own operators: each in the forms that its attributes and optional inputs give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from onnxdtd.model.definitions.table import DOMAIN

B, S, P, N, H = 2, 4, 3, 3, 4
"""Batch, positions, positions of the past, heads, features of a head."""
D = N * H


@dataclass
class Case:
    """inputs: an array for each, None where left out. outputs: "y" for each that is read, "" for the others."""

    op: str
    inputs: list[np.ndarray | None]
    outputs: str = "y"
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = DOMAIN
    opset: int = 17

    def model(
        self, constant: tuple[int, ...] = (), opset: int = 0
    ) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
        """The node alone, and what to feed; the inputs in these slots are constants."""
        arrays = {f"x{i}": x for i, x in enumerate(self.inputs) if x is not None}
        names = [f"x{i}" if x is not None else "" for i, x in enumerate(self.inputs)]
        results = [f"y{i}" if part == "y" else "" for i, part in enumerate(self.outputs)]
        node = helper.make_node(self.op, names, results, "fused", domain=self.domain, **self.attributes)
        fixed = {f"x{i}" for i in constant}
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in arrays.items()
            if name not in fixed
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in results if name]
        for output in outputs:
            counts = output.name in _COUNTS.get(self.op, ())
            output.type.tensor_type.elem_type = onnx.TensorProto.INT32 if counts else onnx.TensorProto.FLOAT
        tensors = [onnx.numpy_helper.from_array(arrays[name], name) for name in sorted(fixed & set(arrays))]
        opsets = [helper.make_opsetid("", opset or self.opset), helper.make_opsetid(DOMAIN, 1)]
        graph = helper.make_graph([node], "g", inputs, outputs, tensors)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return model, {name: x for name, x in arrays.items() if name not in fixed}

    def by_onnxruntime(self) -> list[np.ndarray]:
        """What onnxruntime's own operator makes."""
        model, feeds = self.model()
        options = ort.SessionOptions()
        options.log_severity_level = 4
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        bound, values = (
            session.io_binding(),
            {k: ort.OrtValue.ortvalue_from_numpy(x) for k, x in feeds.items()},
        )
        for name, value in values.items():
            bound.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            if self.attributes.get("past_present_share_buffer") and output.name != "y0":
                bound.bind_ortvalue_output(output.name, values[{"y1": "x5", "y2": "x6"}[output.name]])
            else:
                bound.bind_output(output.name)
        session.run_with_iobinding(bound)
        return [value.numpy() for value in bound.get_outputs()]


_COUNTS = {"EmbedLayerNormalization": ("y1",), "RemovePadding": ("y1", "y2", "y3")}
"""Outputs that are integers."""
_RNG = np.random.default_rng(4)


def w(*shape: int) -> np.ndarray:
    """Random floats."""
    return _RNG.standard_normal(shape).astype(np.float32)


def ints(*values: Any) -> np.ndarray:
    """int32 numbers."""
    return np.array(values, np.int32)


def attention() -> Iterator[Case]:
    """Masks of every form, with and without a past, causal or not, values of another size, a bias of the scores."""
    for past, causal, mask in product((0, P), (0, 1), ("", "rows", "ends", "starts", "3d")):
        total = past + S
        masks = {
            "": None,
            "rows": (np.arange(total) >= np.array([[1], [0]])).astype(np.int32) * (np.arange(total) != 2),
            "ends": ints(total - 1, 2),
            "starts": ints(total, total - 1, 1, 0),
            "3d": (_RNG.random((B, S, total)) > 0.3).astype(np.int32),
        }
        inputs = [w(B, S, 5), w(5, 3 * D), w(3 * D), masks[mask], w(2, B, N, past, H) if past else None]
        yield Case("Attention", inputs, "yy", {"num_heads": N, "unidirectional": causal})
    wide = {"num_heads": N, "qkv_hidden_sizes": [D, D, 2 * D], "scale": 0.7}
    yield Case("Attention", [w(B, S, 5), w(5, 4 * D), w(4 * D)], "y", wide)
    for batch, heads in product((1, B), (1, N)):
        bias = [w(B, S, 5), w(5, 3 * D), w(3 * D), None, None, w(batch, heads, S, S)]
        yield Case("Attention", bias, "y", {"num_heads": N, "unidirectional": batch - 1})
    # What kernels for packed rows read: ends, where queries begin, where keys begin.
    rows = ints(3, 4, 0, 4, 8, 0, 4, 8)
    yield Case("Attention", [w(B, S, 5), w(5, 3 * D), w(3 * D), rows], "y", {"num_heads": N})
    for value, causal in product((-2.0, -3.4028234663852886e38), (0, 1)):
        masked = {"num_heads": N, "mask_filter_value": value, "unidirectional": causal}
        yield Case("Attention", [w(B, S, 5), w(5, 3 * D), None, ints(3, 4, 1, 0)], "y", masked)


def multi_head_attention() -> Iterator[Case]:
    """Values apart or in one, across or within, with and without bias, mask, past, causal."""
    for bias, mask, causal in product(
        (None, w(3 * D)), (None, ints(3, 4), ints([1, 1, 0, 1], [1, 1, 1, 1])), (0, 1)
    ):
        inputs = [w(B, S, D), w(B, S, D), w(B, S, D), bias, mask]
        yield Case("MultiHeadAttention", inputs, "y", {"num_heads": N, "unidirectional": causal})
    for causal in (0, 1):
        heads = [
            w(B, S, D),
            w(B, S, D),
            w(B, S, D),
            None,
            None,
            w(1, N, S, P + S),
            w(B, N, P, H),
            w(B, N, P, H),
        ]
        yield Case("MultiHeadAttention", heads, "yyy", {"num_heads": N, "unidirectional": causal})
    yield Case(
        "MultiHeadAttention",
        [w(B, S, D), w(B, 5, D), w(B, 5, 2 * D), w(4 * D)],
        "y",
        {"num_heads": N, "scale": 0.3},
    )
    yield Case("MultiHeadAttention", [w(B, S, D), w(B, N, 5, H), w(B, N, 5, H)], "y", {"num_heads": N})
    rows = [w(B, S, D), w(B, S, D), w(B, S, D), None, ints(3, 4, 0, 4, 8, 0, 4, 8)]
    yield Case("MultiHeadAttention", rows, "y", {"num_heads": N})
    full = [w(B, S, D), w(B, S, D), w(B, S, D), None, (_RNG.random((B, S, S)) > 0.3).astype(np.int32)]
    yield Case("MultiHeadAttention", full, "yyyy", {"num_heads": N})


def decoder_masked() -> Iterator[Case]:
    """One position, with the front of a buffer as its past, or across."""
    shared = {"num_heads": N, "past_present_share_buffer": 1}
    for bias, mask in product((None, w(3 * D)), (None, (_RNG.random((B, P + 1)) > 0.3).astype(np.int32))):
        inputs = [
            w(B, 1, D),
            w(B, 1, D),
            w(B, 1, D),
            mask,
            None,
            w(B, N, 7, H),
            w(B, N, 7, H),
            ints(P),
            None,
            None,
            bias,
        ]
        yield Case("DecoderMaskedMultiHeadAttention", inputs, "yyy", shared)
    yield Case(
        "DecoderMaskedMultiHeadAttention", [w(B, 1, D), w(B, N, 5, H), w(B, N, 5, H)], "y", {"num_heads": N}
    )


def group_query_attention() -> Iterator[Case]:
    """Prompts and further tokens; packed or not, turned or not, windows, softcap, sinks, biases of the scores."""
    heads, kv, size = 6, 2, 16
    cos, sin = np.cos(w(16, size // 2)), np.sin(w(16, size // 2))
    base = {"num_heads": heads, "kv_num_heads": kv}

    def case(past: int, new: int, packed: bool = False, totals: tuple[int, ...] = (), **more: Any) -> Case:
        slots = {name: more.pop(name, None) for name in ("places", "bias", "sink")}
        total, rows = past + new, 1 if past and new > 1 else B  # all that onnxruntime takes
        widths = [(heads + 2 * kv) * size] if packed else [heads * size, kv * size, kv * size]
        values: list[np.ndarray | None] = [w(rows, new, width) for width in widths]
        values += [None] * (3 - len(values))
        values += [w(rows, kv, past, size), w(rows, kv, past, size)] if past else [None, None]
        lengths = ints(*(n - 1 for n in totals or [total] * rows))
        turns = [cos, sin] if more.get("do_rotary") else [None, None]
        values += [lengths, np.array(total, np.int32), *turns, slots["places"], slots["bias"], slots["sink"]]
        outputs = "yyyy" if more.get("qk_output") else "yyy"
        return Case("GroupQueryAttention", values, outputs, {**base, **more})

    for past, new, packed, turned in product((0, P), (1, S), (False, True), (0, 1)):
        yield case(past, new, packed, do_rotary=turned)
    yield case(0, S, do_rotary=1, rotary_interleaved=1, scale=0.4)
    yield case(0, S, softcap=1.5)
    yield case(0, S, local_window_size=2)
    yield case(P, 1, local_window_size=2, softcap=1.5)
    yield case(P, S, local_window_size=3)
    yield case(P, 1, totals=(4, 3), do_rotary=1)
    yield case(0, S, bias=w(1, heads, S, S))
    yield case(P, 1, bias=w(B, 1, 1, P + 1), softcap=2.0)
    yield case(0, S, smooth_softmax=1)
    yield case(0, S, sink=w(heads), local_window_size=2)
    yield case(P, 1, places=np.full((B, 1), 5, np.int64), do_rotary=1)
    yield case(P, S, causal=0)
    yield case(0, S, qk_output=1, softcap=1.5)
    yield case(P, 1, qk_output=2, local_window_size=2, sink=w(heads))
    yield case(P, 1, smooth_softmax=1, do_rotary=1, rotary_interleaved=1)


def rotary() -> Iterator[Case]:
    """Three axes and four, halves and neighbours, all features and some, one place to start from and all of them."""
    cos, sin = np.cos(w(16, H // 2)), np.sin(w(16, H // 2))
    places = np.array([[0, 1, 2, 3], [3, 5, 1, 2]], np.int64)
    for ids, interleaved in product((np.array([2], np.int64), places), (0, 1)):
        yield Case("RotaryEmbedding", [w(B, S, D), ids, cos, sin], "y", {"interleaved": interleaved})
        yield Case("RotaryEmbedding", [w(B, N, S, H), ids, cos, sin], "y", {"interleaved": interleaved})
        some = {"interleaved": interleaved, "rotary_embedding_dim": H, "num_heads": N}
        yield Case("RotaryEmbedding", [w(B, S, 2 * D), ids, cos, sin], "y", some)
    yield Case("RotaryEmbedding", [w(B, S, D), places, cos, sin], "y", {"scale": 2.0})


def embeddings() -> Iterator[Case]:
    """With and without segments, a mask and places."""
    ids, segments = ints([1, 4, 2], [0, 3, 3]), ints([0, 0, 1], [1, 0, 1])
    tables, norm = [w(6, 4), w(5, 4), w(2, 4)], [w(4), w(4)]
    yield Case("EmbedLayerNormalization", [ids, segments, *tables, *norm], "yyy")
    yield Case("EmbedLayerNormalization", [ids, None, *tables[:2], None, *norm], "yy", {"epsilon": 1e-2})
    for mask in (ints([1, 1, 0], [1, 0, 0]), ints([0, 1, 1], [1, 0, 1])):
        yield Case("EmbedLayerNormalization", [ids, segments, *tables, *norm, mask], "yy")
    yield Case("EmbedLayerNormalization", [ids, None, *tables[:2], None, *norm, None, ints([2, 0, 4])], "yy")
    yield Case(
        "EmbedLayerNormalization",
        [ids, None, *tables[:2], None, *norm, None, ints([2, 0, 4], [1, 1, 3])],
        "y y",
    )


def experts() -> Iterator[Case]:
    """Activations, one projection and two, all tokens in one row or in several, one expert picked and two."""
    for kind, k, normalized in product(("relu", "gelu", "silu", "identity"), (1, 2), (0, 1)):
        inputs = [w(5, 4), w(5, 3), w(3, 6, 4), w(3, 6), w(3, 4, 6), w(3, 4)]
        attributes = {"activation_type": kind, "k": k, "normalize_routing_weights": normalized}
        yield Case("MoE", inputs, "y", attributes)
    yield Case("MoE", [w(2, 3, 4), w(6, 3), w(3, 6, 4), None, w(3, 4, 6)], "y", {"k": 2})
    joint = [w(5, 4), w(5, 3), w(3, 12, 4), w(3, 12), w(3, 4, 6), w(3, 4)]
    gated = {"activation_type": "swiglu", "k": 2, "swiglu_fusion": 1, "activation_alpha": 1.7}
    yield Case("MoE", joint, "y", {**gated, "activation_beta": 1.0, "swiglu_limit": 0.8})
    yield Case("MoE", joint, "y", gated)


def quantised_experts() -> Iterator[Case]:
    """Weights of 2, 4 and 8 bits, a scale for each output or for each block of its inputs, zero points."""
    tokens, count, size, inner, block = 5, 3, 32, 32, 16

    def layer(outputs: int, inputs: int, bits: int, blocks: int) -> list[np.ndarray]:
        """Weights, scales and zero points."""
        per = 8 // bits
        scales = np.abs(w(count, outputs, blocks) if blocks else w(count, outputs)) / 2**bits
        zeros = (count, outputs, -(-blocks // per)) if blocks else (count, outputs // per)
        shapes = (count, outputs, inputs // per), zeros
        bytes_, points = (_RNG.integers(0, 256, shape).astype(np.uint8) for shape in shapes)
        return [bytes_, scales, points]

    for bits, blocks, zeros, kind in product((2, 4, 8), (0, block), (False, True), ("silu", "swiglu")):
        (w1, s1, z1), (w2, s2, z2) = (
            layer(outputs, inputs, bits, inputs // blocks if blocks else 0)
            for outputs, inputs in ((inner * (1 + (kind == "swiglu")), size), (size, inner))
        )
        inputs = [w(tokens, size), w(tokens, count), w1, s1, w(*w1.shape[:2]), w2, s2, w(*w2.shape[:2])]
        inputs += [None, None, None, z1, z2] if zeros else []
        more = {"swiglu_fusion": 1} if kind == "swiglu" else {"normalize_routing_weights": int(zeros)}
        more |= {"block_size": blocks} if blocks else {}
        yield Case("QMoE", inputs, "y", {"k": 2, "expert_weight_bits": bits, "activation_type": kind, **more})


def norms() -> Iterator[Case]:
    """The sums before a norm, of which the last output is one."""
    for outputs, bias in product(("y", "y  y"), ([], [w(4)])):
        x = [w(2, 3, 4), w(2, 3, 4), w(4)]
        yield Case("SkipSimplifiedLayerNormalization", [*x, *bias], outputs, {"epsilon": 1e-2})
        yield Case("SkipLayerNormalization", [*x, w(4), *bias], outputs, {"epsilon": 1e-2})
    yield Case("SkipLayerNormalization", [w(2, 3, 4), w(3, 4), w(4)], "y  y")
    yield Case("SkipLayerNormalization", [w(2, 3, 4), w(1, 3, 4), w(4), None, w(4)], "y  y")
    for name in ("silu", "sigmoid"):
        yield Case("GatedRMSNorm", [w(2, 8), w(4), w(2, 8)], "y", {"activation": name})
    for opset in (14, 17):
        yield Case(
            "SimplifiedLayerNormalization", [w(2, 3, 4), w(4)], "y", {"axis": -1, "epsilon": 1e-2}, "", opset
        )
    yield Case("LayerNormalization", [w(2, 3, 4), w(4), w(4)], "y", {"axis": -1, "epsilon": 1e-2}, "", 14)


def activations() -> Iterator[Case]:
    """With and without a bias."""
    yield Case("Gelu", [w(2, 3)])
    yield Case("BiasGelu", [w(2, 3), w(3)])
    yield Case("FastGelu", [w(2, 3), w(3)])
    yield Case("FastGelu", [w(2, 3)])
    yield Case("QuickGelu", [w(2, 3)], "y", {"alpha": 1.5})
    yield Case("ScaledSiLU", [w(2, 3)], "y", {"alpha": 1.5})
    yield Case("ScaledSiLU", [w(2, 3), w(1)[0:1].reshape(())])


def products() -> Iterator[Case]:
    """Convolutions with an activation or a sum, matrices turned on either side."""
    x, kernel = w(2, 3, 6, 6), w(4, 3, 3, 3)
    yield Case("FusedConv", [x, kernel, w(4)], "y", {"activation": "Relu", "pads": [1, 1, 1, 1]})
    summed = {"activation": "LeakyRelu", "activation_params": [0.2]}
    yield Case("FusedConv", [x, kernel, w(4), w(2, 4, 4, 4)], "y", summed)
    yield Case("FusedConv", [x, kernel], "y", {"activation": "Clip", "activation_params": [-0.5, 0.7]})
    sided = {"activation": "LeakyRelu", "activation_alpha": 0.3, "transB": 1, "alpha": 0.5}
    yield Case("FusedGemm", [w(2, 3), w(5, 3), w(5)], "y", sided)
    for left, right in product((0, 1), (0, 1)):
        a, c = w(*((2, 5, 3), (2, 3, 5))[left]), w(*((3, 4), (4, 3))[right])
        yield Case("FusedMatMul", [a, c], "y", {"transA": left, "transB": right, "alpha": 0.25})
        yield Case("TransposeMatMul", [a, c], "y", {"transA": left, "transB": right, "alpha": 2.0})
        batched = {"transBatchA": 1, "transBatchB": 1, "transA": left, "transB": right}
        a, c = w(*((5, 2, 3), (3, 2, 5))[left]), w(*((3, 2, 4), (4, 2, 3))[right])
        yield Case("FusedMatMul", [a, c], "y", batched)


def standard_attention() -> Iterator[Case]:
    """The operator of ONNX: causal with a past and across, softcap before the mask, groups of queries, its scores."""
    q, k, v = w(B, 6, S, H), w(B, 2, 5, H), w(B, 2, 5, 3)
    more = w(B, 6, S, H), w(B, 2, S, H), w(B, 2, S, H)
    past = w(B, 2, P, H), w(B, 2, P, H)
    masks = w(S, 5), np.arange(20).reshape(S, 5) % 3 > 0, np.zeros((S, 5), bool)
    rows = w(B, S, 6 * H), w(B, 5, 2 * H), w(B, 5, 2 * 3)
    for opset in (23, 24):
        forms: list[tuple[list[np.ndarray | None], str, dict[str, Any]]] = [
            ([q, k, v], "y", {"is_causal": 1}),
            ([q[:, :, :2], k, v], "y", {"is_causal": 1, "scale": 0.3}),
            ([*rows], "y", {"q_num_heads": 6, "kv_num_heads": 2}),
            ([*more, None, *past], "yyy", {"is_causal": 1}),
            ([*more, w(B, 1, S, P + S), *past], "yyy", {"is_causal": 1, "softcap": 1.5}),
            *(([q, k, v, mask], "y", {"softcap": 1.5}) for mask in masks),
            *(([q, k, v, masks[0]], "y  y", {"softcap": 1.5, "qk_matmul_output_mode": i}) for i in range(4)),
        ]
        if opset == 24:
            forms.append(([q, k, v, None, None, None, np.array([3, 5])], "y", {}))
        for inputs, outputs, attributes in forms:
            yield Case("Attention", inputs, outputs, attributes, "", opset)


def _all() -> dict[str, list[Case]]:
    makers = (
        attention, multi_head_attention, decoder_masked, group_query_attention, rotary, embeddings, experts,
        quantised_experts, norms,
        activations, products,
    )  # fmt: skip
    cases: dict[str, list[Case]] = {}
    for make in makers:
        for case in make():
            cases.setdefault(case.op, []).append(case)
    return cases


CASES = _all()
"""What onnxruntime's CPU provider computes, by operator."""
