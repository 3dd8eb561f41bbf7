"""Low-rank adapters (Hu et al., 2021): beside a frozen matrix W two thin ones learn, and W + scale B A is computed."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_gpt.engine.network.gpt import GPT


class AdaptedLinear(nn.Linear):
    """A linear layer whose weight and bias are frozen, with an adapter of rank r for each of the parts of its rows.

    Several matrices may be stacked in one layer (queries, keys and values): each part has an adapter of its own, as it
    would have had by itself.
    """

    def __init__(self, layer: nn.Linear, heights: list[int], rank: int, scale: float) -> None:
        """`heights` are the rows of each part, in order; together all that `layer` has."""
        # Not that of Linear, which would draw a weight only to throw it away.
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.requires_grad_(False)
        self.heights, self.rank, self.scale = heights, rank, scale
        self.lora_a = nn.Parameter(layer.weight.new_empty(len(heights) * rank, layer.in_features))
        self.lora_b = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        inner = torch.split(F.linear(x, self.lora_a), self.rank, dim=-1)
        outer = [F.linear(i, b) for i, b in zip(inner, torch.split(self.lora_b, self.heights), strict=True)]
        change = outer[0] if len(outer) == 1 else torch.cat(outer, dim=-1)
        return F.linear(x, self.weight, self.bias) + self.scale * change

    def parts(self, lora_a: Tensor, lora_b: Tensor) -> list[tuple[Tensor, Tensor]]:
        """A (r, in) and B (rows, r) of each part, cut out of two tensors like this layer's own."""
        return list(zip(torch.split(lora_a, self.rank), torch.split(lora_b, self.heights), strict=True))

    def change(self, lora_a: Tensor, lora_b: Tensor) -> Tensor:
        """(out, in): what such adapters add to the weight."""
        return self.scale * torch.cat([b @ a for a, b in self.parts(lora_a, lora_b)])


def add_adapters(
    network: GPT, heights: dict[str, list[int]], *, rank: int, alpha: float, seed: int
) -> dict[str, AdaptedLinear]:
    """Freeze the network and give adapters to the layers named in `heights`; returns those by name.

    A is drawn uniformly within 1/sqrt(inputs), as peft does, and B is zero: at first nothing is changed.
    """
    network.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    adapted: dict[str, AdaptedLinear] = {}
    for name, rows in heights.items():
        parent, _, own = name.rpartition(".")
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        adapted[name] = AdaptedLinear(layer, rows, rank, alpha / rank)
        setattr(network.get_submodule(parent), own, adapted[name])
        bound = 1.0 / math.sqrt(layer.in_features)
        drawn = torch.empty(adapted[name].lora_a.shape).uniform_(-bound, bound, generator=generator)
        with torch.no_grad():
            adapted[name].lora_a.copy_(drawn)
    return adapted
