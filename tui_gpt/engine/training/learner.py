"""What learns: network, optimizer and batches, and the function that makes a step. No files, no clock, no screen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tui_gpt.core.config import RunConfig
from tui_gpt.core.runs.records import ExecutionRecord
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.network.loss import sum_loss
from tui_gpt.engine.text.batches import Batches
from tui_gpt.engine.training.adapters import Adapters
from tui_gpt.engine.training.devices import compute_dtype
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.optimizer import Optimizer


@dataclass(frozen=True)
class StepResult:
    """What one step found. `applied` is False where a number was not finite and the weights were left as they were."""

    loss: float
    """Mean cross-entropy in nats over the tokens of the step's batch that count, before the update."""
    grad_norm: float
    """Before clipping."""
    applied: bool


class _SumLoss(nn.Module):
    """The network and its loss as one module, so that they are compiled and distributed together."""

    def __init__(self, network: GPT) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, targets: Tensor, segments: Tensor | None) -> Tensor:
        """Token ids, targets and numbers of documents (B, T) to the summed cross-entropy in nats."""
        return sum_loss(self.network.hidden(ids, segments=segments), self.network.head_weight, targets)


class Learner:
    """A network that learns from batches, one step at a time, the same way however often it is stopped and resumed."""

    def __init__(
        self,
        config: RunConfig,
        execution: ExecutionRecord,
        batches: Batches,
        ranks: Ranks | None = None,
    ) -> None:
        self.config, self.execution, self.batches = config, execution, batches
        self.ranks = ranks or Ranks()
        train = config.train
        self.device = torch.device(execution.device)
        network = build_network(config.model, train.seed, zero_init_projections=train.zero_init_projections)
        # The adapters of LoRA are drawn as the weights are: on the CPU, in float32.
        self.adapters = Adapters(network, config) if train.lora_rank else None
        self.network = network.to(self.device, compute_dtype(execution))
        self.network.gradient_checkpointing = train.gradient_checkpointing
        self.optimizer = Optimizer(self.network, train)
        self.average = [m.clone() for m in self.optimizer.masters] if train.weight_average else None
        self._sum_loss: nn.Module = self._distribute(_SumLoss(self.network))
        self.compile_failure = ""
        if execution.compile:
            self._sum_loss = torch.compile(self._sum_loss)  # type: ignore[assignment]

    def _distribute(self, module: nn.Module) -> nn.Module:
        if self.ranks.world_size == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)

    def train_step(self, step: int, factor: float) -> StepResult:
        """Make step number `step` (0 is the first) at learning rates `factor` times their peaks.

        Depends on nothing but the weights, the optimizer's state, `step` and `factor`.
        """
        self.network.train()
        self._seed_dropout(step)
        loss = self.ranks.mean(self._forward_backward(step))
        value = float(loss)
        if not math.isfinite(value):
            self.network.zero_grad(set_to_none=True)
            return StepResult(value, math.nan, applied=False)
        norm = self.optimizer.step(step, factor)
        if not math.isfinite(norm):
            self.network.zero_grad(set_to_none=True)
            return StepResult(value, norm, applied=False)
        if self.average is not None:
            self._update_average(step)
        return StepResult(value, norm, applied=True)

    def _seed_dropout(self, step: int) -> None:
        # A function of the step, so that there is no generator to save and none to lose.
        mixed = (self.config.train.seed * 1_000_003 + step) * 65_537 + self.ranks.rank
        torch.manual_seed(mixed % (1 << 63))

    def _forward_backward(self, step: int) -> Tensor:
        """Accumulate the gradients of this rank's share of the batch; return its loss.

        The mean of it over the ranks is the mean over all targets that count.
        """
        batch = self.batches.batch(step, self.ranks.rank, self.ranks.world_size)
        ids, targets = self._on_device(batch.ids), self._on_device(batch.targets)
        segments = None if batch.segments is None else self._on_device(batch.segments)
        # Ranks are averaged, targets are not theirs alone; and a batch in which nothing counts is no division by zero.
        share = self.ranks.world_size / max(1, batch.n_targets)
        size = -(-len(ids) // self.config.train.grad_accumulation_steps)
        total = torch.zeros((), device=self.device)
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            with self._without_sync(last=start + size >= len(ids)):
                among = None if segments is None else segments[part]
                loss = self._loss(ids[part], targets[part], among) * share
                torch.autograd.backward(loss)
            total += loss.detach()
        return total

    def _on_device(self, numbers: NDArray[np.int64]) -> Tensor:
        tensor = torch.from_numpy(numbers)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def _loss(self, ids: Tensor, targets: Tensor, segments: Tensor | None) -> Tensor:
        try:
            result: Tensor = self._sum_loss(ids, targets, segments)
        except Exception as error:
            if not self.execution.compile or self.compile_failure:
                raise
            # The compiler failed, not the model: go on without it.
            self.compile_failure = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
            self._sum_loss = self._distribute(_SumLoss(self.network))
            result = self._sum_loss(ids, targets, segments)
        return result

    def _without_sync(self, *, last: bool) -> AbstractContextManager[None]:
        if last or not isinstance(self._sum_loss, DistributedDataParallel):
            return nullcontext()
        context: AbstractContextManager[None] = self._sum_loss.no_sync()
        return context

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        assert self.average is not None
        # Early on the average follows closely, or it would remember the random start.
        decay = min(self.config.train.weight_average, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, self.optimizer.masters, 1.0 - decay)

    def trained_state(self) -> dict[str, Tensor]:
        """Parameter name to float32 weights of what learns, as evaluated and saved: the average if there is one."""
        masters = self.optimizer.master_state()
        if self.average is None:
            return masters
        return dict(zip(masters, self.average, strict=True))

    def model_state(self) -> dict[str, Tensor]:
        """Parameter name to float32 weights of the model that is evaluated and saved, adapters merged into it."""
        trained = self.trained_state()
        return trained if self.adapters is None else self.adapters.merged(trained)

    @contextmanager
    def evaluation_network(self) -> Iterator[GPT]:
        """The network in evaluation mode, holding the weights that would be saved; as before afterwards."""
        live: list[Tensor] = [p for p in self.network.parameters() if p.requires_grad]
        kept = [p.detach().clone() for p in live] if self.average is not None else None
        with torch.no_grad():
            if self.average is not None:
                torch._foreach_copy_(live, self.average)
        self.network.eval()
        try:
            yield self.network
        finally:
            self.network.train()
            with torch.no_grad():
                if kept is not None:
                    torch._foreach_copy_(live, kept)

    def begin_from(self, model: dict[str, Tensor]) -> None:
        """Take over a finished model's weights, under a fresh optimizer and with an average that begins at them.

        With LoRA they are what the adapters adapt: always the model that the run began from, wherever it is resumed.
        """
        if self.adapters is not None:
            self.adapters.set_base(model)
            return
        state = self.optimizer.state_tensors() | {f"master.{name}": weights for name, weights in model.items()}
        self.load(model, state)

    def state_tensors(self) -> dict[str, Tensor]:
        """Everything beyond `model_state`, and beyond the model that LoRA adapts, that the next step depends on."""
        state = self.optimizer.state_tensors()
        if self.average is not None:
            state |= {f"master.{name}": master for name, master in self.optimizer.master_state().items()}
        if self.adapters is not None:
            # The merged model does not tell what was added to it.
            state |= {f"adapter.{name}": weights for name, weights in self.trained_state().items()}
        return state

    @torch.no_grad()
    def load(self, model: dict[str, Tensor], state: dict[str, Tensor]) -> None:
        """Take over what `model_state` and `state_tensors` gave. Raises KeyError naming what is missing."""
        trained = model
        if self.adapters is not None:
            trained = {name: state[f"adapter.{name}"] for name in self.optimizer.master_state()}
        masters = trained
        if self.average is not None:
            masters = {name: state[f"master.{name}"] for name in trained}
            for name, average in zip(self.optimizer.master_state(), self.average, strict=True):
                average.copy_(trained[name])
        self.optimizer.load(masters, state)
