"""Muon (Jordan et al., 2024): momentum, then the nearest orthogonal matrix, for the matrices inside the blocks.

Matrices of equal shape are stacked and orthogonalised together: on a CPU, and on a GPU with small matrices, one batched
product costs far less than a loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

# Quintic Newton-Schulz coefficients with a steep slope at zero, from the Muon write-up.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_NEWTON_SCHULZ_STEPS = 5


def orthogonalise(stack: Tensor) -> Tensor:
    """(N, R, S) matrices to ones of the same shape whose singular values are near 1, computed in `stack`'s dtype."""
    transposed = stack.size(-2) > stack.size(-1)
    x = stack.mT if transposed else stack
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * (gram @ gram)) @ x
    result: Tensor = x.mT if transposed else x
    return result


class Muon:
    """Nesterov momentum and orthogonalised updates for matrices given as (parameter, row blocks).

    A parameter that holds several matrices on top of each other (queries, keys and values) is updated block by block:
    `rows` are the heights of the blocks.
    """

    def __init__(self, parameters: Sequence[tuple[Tensor, Sequence[int]]], *, compute_dtype: torch.dtype) -> None:
        self.parameters = [parameter for parameter, _ in parameters]
        self.momentum = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._compute_dtype = compute_dtype
        self._groups: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
        for index, (parameter, rows) in enumerate(parameters):
            start = 0
            for height in rows:
                self._groups[(height, parameter.size(1))].append((index, start, start + height))
                start += height

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float, momentum: float, weight_decay: float) -> None:
        """One update. `gradients` are float32, in the order of the parameters, and are overwritten."""
        torch._foreach_lerp_(self.momentum, list(gradients), 1.0 - momentum)
        torch._foreach_lerp_(list(gradients), self.momentum, momentum)
        if weight_decay:
            torch._foreach_mul_(self.parameters, 1.0 - learning_rate * weight_decay)
        for (height, width), places in self._groups.items():
            stack = torch.stack([gradients[i][a:b] for i, a, b in places]).to(self._compute_dtype)
            update = orthogonalise(stack).float()
            # Keeps the update's size per number alike for tall and wide matrices.
            scale = max(1.0, height / width) ** 0.5
            targets = [self.parameters[i][a:b] for i, a, b in places]
            torch._foreach_add_(targets, list(torch.unbind(update)), alpha=-learning_rate * scale)
