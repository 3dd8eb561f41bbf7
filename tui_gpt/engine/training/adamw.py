"""AdamW: torch's fused kernel over all parameters at once, without torch.optim around it.

torch.optim imports torch's compiler at its first step whether anything is compiled or not, which costs the start of a
run more than a second, and the kernel is all that a step needs of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""The names of the state of each parameter: steps made, and running means of gradients and of their squares."""


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), on parameters without autograd."""

    def __init__(self, parameters: Sequence[tuple[Tensor, float]], *, beta1: float, beta2: float, eps: float) -> None:
        """`parameters` are tensors of one device, all float32, each with its weight decay."""
        self._beta1, self._beta2, self._eps = beta1, beta2, eps
        self.parameters = [parameter for parameter, _ in parameters]
        # Counters are kept in float32 beside the parameter: so the kernel wants them.
        self.state: list[dict[str, Tensor]] = [
            {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            for parameter in self.parameters
        ]
        decays = [decay for _, decay in parameters]
        self._groups = {decay: [i for i, own in enumerate(decays) if own == decay] for decay in sorted(set(decays))}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        """One update; `gradients` in the order of the parameters, in their shapes and dtype."""
        for decay, members in self._groups.items():
            steps, averages, squares = ([self.state[i][name] for i in members] for name in MOMENTS)
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                [self.parameters[i] for i in members],
                [gradients[i] for i in members],
                averages,
                squares,
                [],
                steps,
                lr=learning_rate,
                beta1=self._beta1,
                beta2=self._beta2,
                weight_decay=decay,
                eps=self._eps,
                amsgrad=False,
                maximize=False,
            )
