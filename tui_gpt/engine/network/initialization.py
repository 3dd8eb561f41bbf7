"""Weights before the first step, drawn on the CPU so that a seed means the same on every device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tui_gpt.core.config import ModelConfig
from tui_gpt.engine.network.gpt import GPT

_STANDARD_DEVIATION = 0.02  # GPT-2's (Radford et al., 2019)


def build_network(config: ModelConfig, seed: int, *, zero_init_projections: bool = False) -> GPT:
    """A GPT in float32 on the CPU with fresh weights.

    As GPT-2: normal with deviation 0.02, the projections that write to the residual stream scaled by
    1/sqrt(2 n_layer), biases zero. With `zero_init_projections` these projections, and an untied head, start at zero.
    """
    network = empty_network(config)
    network.to_empty(device="cpu")
    restore_tables(network)
    generator = torch.Generator().manual_seed(seed)
    residual = _STANDARD_DEVIATION / math.sqrt(2 * config.n_layer)
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                writes = name.endswith((".out", ".down"))
                if zero_init_projections and (writes or name == "head"):
                    module.weight.zero_()
                else:
                    module.weight.normal_(0.0, residual if writes else _STANDARD_DEVIATION, generator=generator)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    module.bias.zero_()
            elif hasattr(module, "weight"):
                module.weight.fill_(1.0)
                if getattr(module, "bias", None) is not None:
                    module.bias.zero_()
    return network


class _Unfilled(TorchFunctionMode):
    """Leaves out the random numbers that PyTorch's layers draw at first and nobody would see.

    On the meta device drawing them allocates nothing, but the first one imports a second's worth of PyTorch.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def empty_network(config: ModelConfig) -> GPT:
    """A GPT on the meta device: shapes without numbers."""
    with torch.device("meta"), _Unfilled():
        return GPT(config)


def restore_tables(network: GPT) -> None:
    """Compute the buffers that no file holds (rotary positions), after the network left the meta device."""
    from tui_gpt.engine.network.layers import rotary_tables

    if network.rotary_cos is not None:
        cos, sin = rotary_tables(network.config)
        network.rotary_cos, network.rotary_sin = cos, sin
