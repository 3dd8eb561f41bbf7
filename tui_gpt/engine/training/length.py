"""How long a run is: in steps where it ends by steps or epochs, and whether it is long enough to compile for."""

from __future__ import annotations

import math

from tui_gpt.core.config import RunConfig
from tui_gpt.core.sizes import flops_per_token

# By arithmetic, from single readings: compiling cost 15 to 29 seconds on two CPU cores and took a sixth to a quarter
# off a step, so it earns itself back in one to three minutes; the rest is a reserve for models that gain less.
_LONG_MINUTES = 8.0
# What two CPU cores train in that time.
_LONG_FLOPS = 8 * 60 * 1.5e11


def total_steps(config: RunConfig, steps_per_epoch: float) -> int | None:
    """Optimizer steps until the end; None where the clock ends the run."""
    train = config.train
    if train.max_steps is not None:
        return train.max_steps
    if train.max_epochs is not None:
        return max(1, math.ceil(train.max_epochs * steps_per_epoch))
    return None


def is_long_run(config: RunConfig, epoch_tokens: int) -> bool:
    """Whether compiling would pay: by the clock, or by the arithmetic to do. An epoch has about so many tokens."""
    train = config.train
    if train.max_minutes is not None:
        return train.max_minutes >= _LONG_MINUTES
    if train.max_steps is not None:
        tokens: float = train.max_steps * train.batch_size * config.model.n_positions
    else:
        tokens = (train.max_epochs or 1.0) * epoch_tokens
    return tokens * flops_per_token(config.model).training >= _LONG_FLOPS
