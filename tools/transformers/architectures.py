"""Small networks of known architectures, with random weights, and an input of each. Needs torch and transformers.

A row of the table is all that a new architecture takes: how its configuration and its class are called, which inputs
it has, and which number is explained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers

Input = tuple[torch.Tensor, dict[int, str]]
WORDS, BATCH, LENGTH, TARGETS, FRAMES = 60, 2, 6, 4, 32
CLASS, WORD = (2,), (-1, 7)
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
ENDS = {"vocab_size": WORDS, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}


def logits(result: Any) -> torch.Tensor:
    """The scores of classes or of words."""
    return result.logits


def cosine(result: Any) -> torch.Tensor:
    """(N, 1): how alike each picture and its text are."""
    return (result.image_embeds * result.text_embeds).sum(-1, keepdim=True)


@dataclass(frozen=True)
class Architecture:
    """config: of the class `network`. inputs: by name, with the names of their open axes. target: the index of the
    explained number in `output` of what the network returns."""

    config: Callable[..., Any]
    sizes: Mapping[str, Any]
    network: str
    inputs: Mapping[str, Input]
    target: tuple[int, ...]
    output: Callable[[Any], torch.Tensor] = logits


def tokens(length: int = LENGTH, axis: str = "length") -> Input:
    """Random words."""
    return torch.randint(2, WORDS, (BATCH, length)), {0: "batch", 1: axis}


def text(**more: Input) -> dict[str, Input]:
    """Words and their mask."""
    ids, axes = tokens()
    return {"input_ids": (ids, axes), "attention_mask": (torch.ones_like(ids), axes), **more}


def architectures() -> dict[str, Architecture]:
    """All of them, by the word that names them on the command line."""
    torch.manual_seed(0)
    picture: Input = (torch.randn(BATCH, 3, 32, 32), {0: "batch"})
    sound: Input = (torch.randn(BATCH, 8, FRAMES), {0: "batch"})
    words = {**SIZES, "vocab_size": WORDS, "max_position_embeddings": 40, "num_labels": 5}
    distil = {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 96, "vocab_size": WORDS, "num_labels": 5}
    modern = {**words, **ENDS, "cls_token_id": 0, "sep_token_id": 1}
    modern |= {"global_attn_every_n_layers": 2, "local_attention": 4}
    deberta = {**words, "relative_attention": True, "position_buckets": 8, "pos_att_type": ["c2p", "p2c"]}
    gpt2 = {"n_positions": 32, "n_embd": 64, "n_layer": 2, "n_head": 4, **ENDS}
    llama = {**SIZES, **ENDS, "num_key_value_heads": 2, "max_position_embeddings": 64}
    phi3 = {**llama, "original_max_position_embeddings": llama["max_position_embeddings"]}
    mixtral = {**llama, "num_local_experts": 4, "num_experts_per_tok": 2}
    t5 = {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "vocab_size": WORDS}
    t5 |= {"feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0}
    patches = {**SIZES, "image_size": 32, "patch_size": 8}
    vit = {**patches, "num_labels": 5}
    swin = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4]}
    swin |= {"window_size": 4, "num_labels": 5}
    convnext = {"image_size": 32, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "num_labels": 5}
    reader = {**SIZES, "vocab_size": WORDS, "max_position_embeddings": 32, "eos_token_id": 2}
    clip = {"text_config": reader, "vision_config": patches, "projection_dim": 32}
    whisper = {
        "d_model": 64,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 96,
        **ENDS,
    }
    whisper |= {"num_mel_bins": 8, "max_source_positions": FRAMES // 2, "num_labels": 5}
    answer = {"decoder_input_ids": tokens(TARGETS, "target_length")}
    pixels, hears = {"pixel_values": picture}, {"input_features": sound}
    of = transformers
    return {
        "bert": Architecture(of.BertConfig, words, "BertForSequenceClassification", text(), CLASS),
        "distilbert": Architecture(
            of.DistilBertConfig, distil, "DistilBertForSequenceClassification", text(), CLASS
        ),
        "roberta": Architecture(of.RobertaConfig, words, "RobertaForSequenceClassification", text(), CLASS),
        "modernbert": Architecture(
            of.ModernBertConfig, modern, "ModernBertForSequenceClassification", text(), CLASS
        ),
        "deberta": Architecture(
            of.DebertaV2Config, deberta, "DebertaV2ForSequenceClassification", text(), CLASS
        ),
        "gpt2": Architecture(of.GPT2Config, gpt2, "GPT2LMHeadModel", text(), WORD),
        "llama": Architecture(of.LlamaConfig, llama, "LlamaForCausalLM", text(), WORD),
        "qwen2": Architecture(of.Qwen2Config, llama, "Qwen2ForCausalLM", text(), WORD),
        "qwen3": Architecture(of.Qwen3Config, {**llama, "head_dim": 16}, "Qwen3ForCausalLM", text(), WORD),
        "gemma3": Architecture(
            of.Gemma3TextConfig, {**llama, "head_dim": 16}, "Gemma3ForCausalLM", text(), WORD
        ),
        "phi3": Architecture(of.Phi3Config, phi3, "Phi3ForCausalLM", text(), WORD),
        "mixtral": Architecture(of.MixtralConfig, mixtral, "MixtralForCausalLM", text(), WORD),
        "t5": Architecture(of.T5Config, t5, "T5ForConditionalGeneration", text(**answer), WORD),
        "vit": Architecture(of.ViTConfig, vit, "ViTForImageClassification", pixels, CLASS),
        "swin": Architecture(of.SwinConfig, swin, "SwinForImageClassification", pixels, CLASS),
        "convnext": Architecture(
            of.ConvNextConfig, convnext, "ConvNextForImageClassification", pixels, CLASS
        ),
        "clip": Architecture(of.CLIPConfig, clip, "CLIPModel", text(**pixels), (0,), cosine),
        "whisper": Architecture(of.WhisperConfig, whisper, "WhisperForAudioClassification", hears, CLASS),
    }


def network(architecture: Architecture) -> torch.nn.Module:
    """The network, with weights that keep the size of what goes through a layer, and no bias or scale of 0 or 1."""
    config = architecture.config(**architecture.sizes)
    config._attn_implementation = "eager"
    config._experts_implementation = "batched_mm"
    made = getattr(transformers, architecture.network)(config).eval()
    for weight in made.parameters():
        if weight.ndim > 1:
            fan = weight[0].numel() if weight.ndim == 4 else weight.shape[-1]
            torch.nn.init.normal_(weight, std=fan**-0.5)
        else:
            weight.data += 0.2 * torch.randn_like(weight)
    return made
