"""More words for a network that has learned already."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_BY_TOKEN = ("token_embedding.weight", "head.weight")


@torch.no_grad()
def grow_vocabulary(weights: Mapping[str, Tensor], known: int, wanted: int, seed: int) -> dict[str, Tensor]:
    """Parameter name to weights of a network with at least `wanted` tokens, of which it has learned the first `known`.

    The rows of new tokens are drawn, by `seed`, from the distribution of the learned ones: so that they are neither
    strange to the network nor like each other. Rows beyond those (a padded vocabulary's) stay.
    """
    chance = torch.Generator().manual_seed(seed)
    grown = dict(weights)
    for name in _BY_TOKEN:
        if name not in weights:
            continue  # a tied head
        rows = weights[name].float().cpu()
        learned = rows[:known]
        noise = torch.randn(wanted - known, rows.size(1), generator=chance)
        new = learned.mean(dim=0) + learned.std(dim=0) * noise
        grown[name] = torch.cat((learned, new, rows[wanted:]))
    return grown
