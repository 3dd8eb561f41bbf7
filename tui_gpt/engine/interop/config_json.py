"""config.json: a ModelConfig as transformers' GPT2Config, Qwen3Config or LlamaConfig, and back.

Reading is strict: whatever would make the network compute something else is refused by name. Fields that are left out
mean what transformers 5 takes them to mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui_gpt.core.config import ModelConfig, model_problems
from tui_gpt.core.config_loading import convert
from tui_gpt.core.errors import ConfigError, ModelError

_REQUIRED = object()

# Foreign field -> (our field, what it is when left out).
_GPT2_FIELDS: dict[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", _REQUIRED),
    "n_positions": ("n_positions", _REQUIRED),
    "n_embd": ("n_embd", _REQUIRED),
    "n_layer": ("n_layer", _REQUIRED),
    "n_head": ("n_head", _REQUIRED),
    "n_inner": ("n_inner", None),
    "layer_norm_epsilon": ("layer_norm_epsilon", 1e-5),
    "tie_word_embeddings": ("tie_word_embeddings", True),
    "resid_pdrop": ("dropout", 0.1),
}
_QWEN3_FIELDS: dict[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", _REQUIRED),
    "max_position_embeddings": ("n_positions", _REQUIRED),
    "hidden_size": ("n_embd", _REQUIRED),
    "num_hidden_layers": ("n_layer", _REQUIRED),
    "num_attention_heads": ("n_head", _REQUIRED),
    "num_key_value_heads": ("n_kv_head", 32),
    "head_dim": ("head_dim", 128),
    "intermediate_size": ("n_inner", _REQUIRED),
    "rms_norm_eps": ("layer_norm_epsilon", 1e-6),
    "tie_word_embeddings": ("tie_word_embeddings", False),
    "attention_dropout": ("dropout", 0.0),
    "rope_theta": ("rope_theta", 10_000.0),
}
_LLAMA_FIELDS = _QWEN3_FIELDS | {"num_key_value_heads": ("n_kv_head", None), "head_dim": ("head_dim", None)}
_FIELDS = {"gpt2": _GPT2_FIELDS, "qwen3": _QWEN3_FIELDS, "llama": _LLAMA_FIELDS}

# Foreign field -> (values that our network computes, what it is when left out).
_COMPUTED: dict[str, dict[str, tuple[tuple[Any, ...], Any]]] = {
    "gpt2": {
        "activation_function": (("gelu_new", "gelu_pytorch_tanh"), "gelu_new"),
        "scale_attn_weights": ((True,), True),
        "scale_attn_by_inverse_layer_idx": ((False,), False),
        "add_cross_attention": ((False,), False),
        "pruned_heads": (({}, None), None),
    },
    "qwen3": {
        "hidden_act": (("silu",), "silu"),
        "attention_bias": ((False,), False),
        "use_sliding_window": ((False,), False),
    },
    "llama": {
        "hidden_act": (("silu",), "silu"),
        "attention_bias": ((False,), False),
        "mlp_bias": ((False,), False),
    },
}


def config_to_hf(model: ModelConfig, *, dtype: str = "float32", eot_id: int | None = None) -> dict[str, Any]:
    """The content of config.json, as transformers 4 and 5 read it.

    `dtype` is the weights' data type by torch's name; `eot_id` the id of the token that ends a text, if there is one.
    """
    shapes = {"gpt2": _gpt2_to_hf, "qwen3": _qwen3_to_hf, "llama": _llama_to_hf}
    return shapes[model.family](model) | {
        "vocab_size": model.vocabulary,
        "tie_word_embeddings": model.tie_word_embeddings,
        "bos_token_id": eot_id,
        "eos_token_id": eot_id,
        "initializer_range": 0.02,
        "use_cache": True,
        "dtype": dtype,
        "torch_dtype": dtype,  # the field's name before transformers 5
    }


def _gpt2_to_hf(model: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_positions": model.n_positions,
        "n_ctx": model.n_positions,
        "n_embd": model.n_embd,
        "n_layer": model.n_layer,
        "n_head": model.n_head,
        "n_inner": model.n_inner,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": model.layer_norm_epsilon,
        "embd_pdrop": model.dropout,
        "attn_pdrop": model.dropout,
        "resid_pdrop": model.dropout,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
    }


def _qwen3_to_hf(model: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **_rotary_to_hf(model),
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": model.n_layer,
    }


def _llama_to_hf(model: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **_rotary_to_hf(model),
        "mlp_bias": False,
        "pretraining_tp": 1,
    }


def _rotary_to_hf(model: ModelConfig) -> dict[str, Any]:
    return {
        "max_position_embeddings": model.n_positions,
        "hidden_size": model.n_embd,
        "num_hidden_layers": model.n_layer,
        "num_attention_heads": model.n_head,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_size,
        "intermediate_size": model.inner,
        "hidden_act": "silu",
        "rms_norm_eps": model.layer_norm_epsilon,
        "attention_bias": False,
        "attention_dropout": model.dropout,
        "rope_theta": model.rope_theta,  # read before transformers 5, and by other programs
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_theta},
    }


def config_from_hf(content: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig that a config.json describes, every size resolved.

    Of GPT-2's three dropouts, which matter only to further training, the residual one is taken. Raises ModelError
    naming the field and its value where it asks for what our network does not compute, or is out of bounds.
    """
    family = content.get("model_type")
    if not isinstance(family, str) or family not in _FIELDS:
        known = ", ".join(_FIELDS)
        raise ModelError(f"config.json: model_type is {_shown(family)}, and only these can be opened: {known}")
    if content.get("quantization_config") is not None:
        raise ModelError("config.json: quantization_config is given, and quantized weights cannot be opened")
    for field, (computed, default) in _COMPUTED[family].items():
        value = content.get(field, default)
        if not any(value is known or (type(value) is type(known) and value == known) for known in computed):
            raise ModelError(f"config.json: {field} is {_shown(value)}, and only {_shown(computed[0])} can be computed")
    source = _gpt2_fields(content) if family == "gpt2" else _rotary_fields(content)
    tree: dict[str, Any] = {"family": family}
    for field, (own, default) in _FIELDS[family].items():
        value = source.get(field, default)
        if value is _REQUIRED or (value is None and default is _REQUIRED):
            raise ModelError(f"config.json: {field} is missing")
        tree[own] = value
    return _checked(tree, {own: field for field, (own, _) in _FIELDS[family].items()})


def _checked(tree: dict[str, Any], foreign: Mapping[str, str]) -> ModelConfig:
    try:
        model = convert(tree, ModelConfig)
    except ConfigError as error:
        raise ModelError(f"config.json: {foreign.get(error.path, error.path)}: {error.message}") from None
    problem = next(model_problems(model), None)
    if problem is not None:
        field = problem.path.removeprefix("model.")
        raise ModelError(f"config.json: {foreign.get(field, field)}: {problem.message}")
    return model


def _gpt2_fields(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """`content` with n_positions also where only its older name is given."""
    older = content.get("n_ctx")
    if older is None:
        return content
    if content.get("n_positions", older) != older:
        raise ModelError(
            f"config.json: n_ctx is {_shown(older)} and n_positions is {_shown(content['n_positions'])}, "
            "but both are the context length"
        )
    return {**content, "n_positions": older}


def _rotary_fields(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """`content` with its rope_theta, wherever it stood; attention must be full and rotary positions plain."""
    layers = content.get("layer_types")
    if layers is not None and (not isinstance(layers, list) or any(kind != "full_attention" for kind in layers)):
        raise ModelError(f"config.json: layer_types is {_shown(layers)}, and only full_attention can be computed")
    fields = dict(content)
    for name in ("rope_scaling", "rope_parameters"):
        rope = content.get(name)
        if rope is None:
            continue
        if not isinstance(rope, dict):
            raise ModelError(f"config.json: {name} is {_shown(rope)}, which is not a table")
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default":
            raise ModelError(f"config.json: {name}.rope_type is {_shown(kind)}, and only 'default' can be computed")
        fields |= {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    share = fields.get("partial_rotary_factor")
    if share is not None and share != 1:
        raise ModelError(f"config.json: partial_rotary_factor is {_shown(share)}, and only 1 can be computed")
    return fields


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
