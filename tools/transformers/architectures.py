"""Small networks of known architectures, with random weights, and an input of each. Needs torch and transformers.

A row of the table is all that a new architecture takes: how its configuration and its class are called, and which
inputs it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers

WORDS, BATCH, LENGTH, TARGETS = 60, 2, 6, 4
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
ENDS = {"vocab_size": WORDS, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}


@dataclass(frozen=True)
class Architecture:
    """config: of the class `network`. inputs: by name, with the names of their open axes."""

    config: Callable[..., Any]
    sizes: Mapping[str, Any]
    network: str
    inputs: Mapping[str, tuple[torch.Tensor, dict[int, str]]]


def tokens(length: int = LENGTH, axis: str = "length") -> tuple[torch.Tensor, dict[int, str]]:
    """Random words."""
    return torch.randint(2, WORDS, (BATCH, length)), {0: "batch", 1: axis}


def text(**more: Any) -> dict[str, tuple[torch.Tensor, dict[int, str]]]:
    """Words and their mask."""
    ids, axes = tokens()
    return {"input_ids": (ids, axes), "attention_mask": (torch.ones_like(ids), axes), **more}


def architectures() -> dict[str, Architecture]:
    """All of them, by the word that names them on the command line."""
    torch.manual_seed(0)
    picture = {"pixel_values": (torch.randn(BATCH, 3, 32, 32), {0: "batch"})}
    gpt2 = {"n_positions": 32, "n_embd": 64, "n_layer": 2, "n_head": 4, **ENDS}
    llama = {**SIZES, **ENDS, "num_key_value_heads": 2, "max_position_embeddings": 64}
    t5 = {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "vocab_size": WORDS}
    t5 |= {"feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0}
    vit = {**SIZES, "image_size": 32, "patch_size": 8, "num_labels": 5}
    bert = {**SIZES, "vocab_size": WORDS, "max_position_embeddings": 32, "num_labels": 5}
    answer = {"decoder_input_ids": tokens(TARGETS, "target_length")}
    known = transformers
    return {
        "bert": Architecture(known.BertConfig, bert, "BertForSequenceClassification", text()),
        "gpt2": Architecture(known.GPT2Config, gpt2, "GPT2LMHeadModel", text()),
        "llama": Architecture(known.LlamaConfig, llama, "LlamaForCausalLM", text()),
        "t5": Architecture(known.T5Config, t5, "T5ForConditionalGeneration", text(**answer)),
        "vit": Architecture(known.ViTConfig, vit, "ViTForImageClassification", picture),
    }


def network(architecture: Architecture) -> torch.nn.Module:
    """The network, with weights that keep the size of what goes through a layer."""
    config = architecture.config(**architecture.sizes)
    config._attn_implementation = "eager"
    made = getattr(transformers, architecture.network)(config).eval()
    for weight in made.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    return made
