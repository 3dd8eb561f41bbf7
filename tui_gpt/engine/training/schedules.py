"""The learning rate and Muon's momentum as functions of the step and of the run's progress."""

from __future__ import annotations

import math

from tui_gpt.core.config import TrainConfig


def learning_rate_factor(train: TrainConfig, step: int, progress: float) -> float:
    """What to multiply the peak learning rates with at `step` (0 is the first) of a run done to `progress` (0 to 1)."""
    warm = min(1.0, (step + 1) / train.warmup_steps) if train.warmup_steps else 1.0
    progress = min(max(progress, 0.0), 1.0)
    floor = train.min_lr_fraction
    match train.schedule:
        case "constant":
            shape = 1.0
        case "cosine":
            shape = floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
        case "wsd":
            left = 1.0 if train.decay_fraction == 0 else min(1.0, (1.0 - progress) / train.decay_fraction)
            shape = floor + (1.0 - floor) * left
    return warm * shape


def muon_momentum(train: TrainConfig, step: int) -> float:
    """Muon's momentum at `step`: a straight line from its start to its final value."""
    share = min(1.0, step / train.muon_momentum_warmup_steps) if train.muon_momentum_warmup_steps else 1.0
    return train.muon_momentum_start + share * (train.muon_momentum - train.muon_momentum_start)
