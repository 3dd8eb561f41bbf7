"""LoRA in a run: which layers get adapters, the model with them merged in, and the adapters as peft has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tui_gpt.core.config import RunConfig
from tui_gpt.engine.interop.peft_folder import Adapter, write_peft_folder
from tui_gpt.engine.interop.state_names import counterparts, own_shapes
from tui_gpt.engine.network import GPT
from tui_gpt.engine.network.lora import AdaptedLinear, add_adapters

_PLACES = {"all": (".attention.", ".mlp."), "attention": (".attention.",), "mlp": (".mlp.",)}


class Adapters:
    """The adapters of a network whose own weights are frozen."""

    def __init__(self, network: GPT, config: RunConfig) -> None:
        """Put them into `network`, which is still in float32."""
        train = config.train
        self._config = config
        self._network = network
        self._foreign = _targets(config)
        heights = {layer: [rows for _, rows in parts] for layer, parts in self._foreign.items()}
        self._layers: dict[str, AdaptedLinear] = add_adapters(
            network, heights, rank=train.lora_rank, alpha=train.lora_alpha, seed=train.seed
        )
        self._exact: dict[str, Tensor] = {}
        """The frozen weights in float32 that the network, computing in bf16, holds rounded."""

    @torch.no_grad()
    def set_base(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the weights of the model that is adapted. Raises KeyError naming what is missing."""
        self._exact = {}
        for name, live in self._frozen().items():
            live.copy_(weights[name])
            if not torch.equal(live.float(), weights[name]):
                self._exact[name] = weights[name].to(live.device, torch.float32, copy=True)

    def _frozen(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._network.named_parameters() if not p.requires_grad}

    @torch.no_grad()
    def merged(self, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Parameter name to float32 weights of an ordinary network that computes the same.

        `trained` are the adapters' weights, by their names in the network.
        """
        weights = {name: self._exact.get(name, live).float() for name, live in self._frozen().items()}
        for name, layer in self._layers.items():
            change = layer.change(trained[f"{name}.lora_a"], trained[f"{name}.lora_b"])
            weights[f"{name}.weight"] = weights[f"{name}.weight"] + change
        return weights

    def write(self, folder: Path, trained: Mapping[str, Tensor], base: str, revision: str | None = None) -> None:
        """Write the adapters into `folder`, which is made, as peft reads them. Raises ModelError."""
        train = self._config.train
        found: dict[str, Adapter] = {}
        for name, layer in self._layers.items():
            parts = layer.parts(trained[f"{name}.lora_a"], trained[f"{name}.lora_b"])
            for (foreign, _), (a, b) in zip(self._foreign[name], parts, strict=True):
                found[foreign] = Adapter(a, b)
        write_peft_folder(
            folder,
            found,
            rank=train.lora_rank,
            alpha=train.lora_alpha,
            transposed=self._config.model.family == "gpt2",
            base=base,
            revision=revision,
        )


def _targets(config: RunConfig) -> dict[str, list[tuple[str, int]]]:
    """Our layer to what transformers keeps in its rows: the name of each module there, and how many rows it has."""
    found: dict[str, list[tuple[str, int]]] = {}
    shapes = own_shapes(config.model)
    for part in counterparts(config.model):
        name = part.own.removesuffix(".weight")
        shape = shapes[part.own]
        if len(shape) == 2 and any(place in name for place in _PLACES[config.train.lora_targets]):
            rows = len(range(*part.rows.indices(shape[0])))
            found.setdefault(name, []).append((part.foreign.removesuffix(".weight"), rows))
    return found
