"""Several documents in one row: who sees whom, and where each begins to count."""

from __future__ import annotations

import torch
from torch import Tensor


def positions_within(segments: Tensor) -> Tensor:
    """(B, T) numbers of documents, each in one stretch, to the positions (B, T) of the tokens within theirs."""
    places = torch.arange(segments.size(1), device=segments.device).expand_as(segments)
    begins = torch.zeros_like(places)
    begins[:, 1:] = torch.where(segments[:, 1:] != segments[:, :-1], places[:, 1:], 0)
    return places - begins.cummax(dim=1).values


def mask_within(segments: Tensor) -> Tensor:
    """(B, T) numbers of documents to booleans (B, 1, T, T): itself and what came before, in its own."""
    same = segments.unsqueeze(2) == segments.unsqueeze(1)
    return same.tril().unsqueeze(1)
