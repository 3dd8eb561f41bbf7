"""One optimizer step over the whole network: clipping, AdamW and Muon on float32 masters, and the way back to bf16."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from tui_gpt.core.config import ModelConfig, TrainConfig
from tui_gpt.engine.network import GPT
from tui_gpt.engine.training.adamw import AdamW
from tui_gpt.engine.training.muon import Muon
from tui_gpt.engine.training.schedules import muon_momentum


class Optimizer:
    """Holds float32 master weights for what learns of `network`, which itself may compute in bf16.

    Where the network is float32 the masters are its own parameters.
    """

    def __init__(self, network: GPT, train: TrainConfig) -> None:
        self.train = train
        learns = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        self._names = list(learns)
        self._live: list[Tensor] = list(learns.values())
        self._separate = self._live[0].dtype != torch.float32
        self.masters = [p.detach().float() if self._separate else p.detach() for p in self._live]
        matrices = muon_matrices(network) if train.optimizer == "muon" else {}
        by_name = dict(zip(self._names, self.masters, strict=True))
        self._muon_names = [name for name in self._names if name in matrices]
        self._adam_names = [name for name in self._names if name not in matrices]
        compute = torch.bfloat16 if self._separate else torch.float32
        self.muon = Muon([(by_name[n], matrices[n]) for n in self._muon_names], compute_dtype=compute)
        self.adamw = AdamW(
            [(by_name[name], train.weight_decay if by_name[name].dim() >= 2 else 0.0) for name in self._adam_names],
            beta1=train.beta1,
            beta2=train.beta2,
            eps=train.adam_epsilon,
        )

    def gradients(self) -> list[Tensor]:
        """The gradients in float32, in the order of the parameters."""
        found: list[Tensor] = []
        for name, parameter in zip(self._names, self._live, strict=True):
            assert parameter.grad is not None, f"no gradient reached {name}"
            found.append(parameter.grad.float())  # itself, where it is float32 already
        return found

    @torch.no_grad()
    def step(self, step: int, factor: float) -> float:
        """Apply one update at learning rates `factor` times their peaks; return the gradient norm before clipping.

        A norm that is not finite changes nothing: the caller decides what becomes of the run.
        """
        gradients = self.gradients()
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
        if not math.isfinite(norm):
            return norm
        if self.train.grad_clip and norm > self.train.grad_clip:
            torch._foreach_mul_(gradients, self.train.grad_clip / (norm + 1e-6))
        by_name = dict(zip(self._names, gradients, strict=True))
        self.adamw.step([by_name[name] for name in self._adam_names], self.train.learning_rate * factor)
        if self._muon_names:
            self.muon.step(
                [by_name[name] for name in self._muon_names],
                self.train.muon_learning_rate * factor,
                muon_momentum(self.train, step),
                self.train.muon_weight_decay,
            )
        self.publish()
        for parameter in self._live:
            parameter.grad = None
        return norm

    @torch.no_grad()
    def publish(self) -> None:
        """Bring the masters' values to the network that computes."""
        if self._separate:
            torch._foreach_copy_(self._live, self.masters)

    def master_state(self) -> dict[str, Tensor]:
        """Parameter name to float32 weights, of all that learns."""
        return dict(zip(self._names, self.masters, strict=True))

    def state_tensors(self) -> dict[str, Tensor]:
        """Every tensor of the optimizer's own state under a name that tells what it is."""
        state: dict[str, Tensor] = {}
        for name, moments in zip(self._adam_names, self.adamw.state, strict=True):
            state |= {f"adamw.{key}.{name}": value for key, value in moments.items()}
        for name, buffer in zip(self._muon_names, self.muon.momentum, strict=True):
            state[f"muon.momentum.{name}"] = buffer
        return state

    @torch.no_grad()
    def load(self, masters: dict[str, Tensor], state: dict[str, Tensor]) -> None:
        """Take over saved weights and state. Raises KeyError naming what is missing."""
        for name, master in self.master_state().items():
            master.copy_(masters[name])
        self.publish()
        for name, moments in zip(self._adam_names, self.adamw.state, strict=True):
            for key, value in moments.items():
                value.copy_(state[f"adamw.{key}.{name}"])
        for name, buffer in zip(self._muon_names, self.muon.momentum, strict=True):
            buffer.copy_(state[f"muon.momentum.{name}"])


def muon_matrices(network: GPT) -> dict[str, list[int]]:
    """Parameter name to the heights of the matrices stacked in it, for every matrix inside a block."""
    return dict(_block_matrices(network, network.config))


def _block_matrices(network: GPT, config: ModelConfig) -> Iterator[tuple[str, list[int]]]:
    kv = config.kv_heads * config.head_size
    heights = {
        "attention.qkv.weight": [config.n_head * config.head_size, kv, kv],
        "mlp.up.weight": [config.inner] * (2 if config.family != "gpt2" else 1),
    }
    for name, parameter in network.named_parameters():
        # The two thin matrices of an adapter are AdamW's.
        if name.startswith("blocks.") and name.endswith(".weight") and parameter.dim() == 2:
            inside = name.split(".", 2)[2]
            yield name, heights.get(inside, [parameter.size(0)])
