"""What a run's curve says in plain words, and what can be done about it: rules over figures, without a screen.

Each rule is slow to speak: averages are compared against the noise of the curve itself, so that a healthy run is left
alone.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from tui_gpt.core.config import RunConfig

Kind = Literal[
    "not a number",
    "failed",
    "died",
    "hung",
    "exploding",
    "rate too high",
    "flat",
    "overfitting",
    "repeated",
    "little text",
]
Remedy = Literal["resume", "log", "lower_rate", "raise_rate", "stop"]
"""What a screen offers a key for."""

_BLOCKS = 20
_SMALLEST_BLOCK = 25
_CONTEXTS = 8
_EPOCHS = 40
"""Beyond about this many repetitions text teaches next to nothing (Muennighoff et al., 2023, section 6)."""
_NOT_A_NUMBER = re.compile(r"\bat step ([0-9]+) (the loss|the gradient norm) is (nan|inf|-inf)\b")


class Advice(NamedTuple):
    """One thing to know about a run, and the one action that does something about it."""

    kind: Kind
    sentence: str
    """What is the matter; no full stop."""
    remedy: Remedy
    effect: str
    """What the remedy's key does: `lowers the learning rate`."""


class Evaluated(NamedTuple):
    """Losses at an evaluation, in nats per token; `train_loss` is the smoothed one, NaN where unknown."""

    step: int
    val_loss: float
    train_loss: float = math.nan


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look at. Losses in nats per token; what is not finite may be NaN."""

    config: RunConfig
    state: str
    """The effective state of the run."""
    step: int = 0
    progress: float = 0.0
    last_checkpoint: int | None = None
    error: str | None = None
    n_train_tokens: int = 0
    from_weights: bool = False
    """Whether it began with weights that were trained before."""
    first_losses: Sequence[float] = ()
    """Of its very first steps."""
    losses: Sequence[float] = ()
    """Of the newest steps, the last one that of `step`; a thousand are plenty."""
    grad_norms: Sequence[float] = ()
    """Of the same steps, before clipping."""
    evals: Sequence[Evaluated] = ()


def advise(course: Course) -> list[Advice]:
    """What is worth telling about a run, most urgent first."""
    found = [advice for advice in (_ending(course),) if advice is not None]
    if course.state in ("running", "paused"):
        found += _while_training(course)
    return found


def failed_at_a_number(error: str | None) -> int | None:
    """The step at which a loss or gradient that was not finite ended a run; None where something else did."""
    match = _NOT_A_NUMBER.search(error or "")
    return int(match[1]) if match else None


def _ending(course: Course) -> Advice | None:
    """Why a run is not training although nobody ended it."""
    kept = course.last_checkpoint
    where = "the beginning" if kept is None else f"the checkpoint of step {kept:,}"
    match course.state:
        case "failed":
            if (step := failed_at_a_number(course.error)) is not None:
                what = "gradient" if "gradient norm is" in (course.error or "") else "loss"
                effect = f"goes on from {where} with half the learning rate"
                return Advice("not a number", f"the {what} is not a number at step {step:,}", "resume", effect)
            return Advice("failed", course.error or "the trainer gave no reason", "resume", f"tries again from {where}")
        case "interrupted":
            sentence = f"the trainer was killed or died after step {course.step:,}"
            return Advice("died", sentence, "resume", f"goes on from {where}")
        case "hung":
            sentence = "the trainer gives no sign of life: a step takes very long, or it is stopped or out of memory"
            return Advice("hung", sentence, "log", "shows its log")
    return None


def _while_training(course: Course) -> Iterator[Advice]:
    unsteady = _exploding(course) or _rising(course)
    if unsteady is not None:
        yield unsteady
    stale = _overfitting(course) or _repeated(course) or _flat(course)
    if stale is not None and unsteady is None:
        yield stale
    context = course.config.model.n_positions
    if 0 < course.n_train_tokens < _CONTEXTS * context:
        yield Advice(
            "little text",
            f"the training text has {course.n_train_tokens:,} tokens, {course.n_train_tokens / context:.1f} contexts "
            f"of {context:,}: it will be learned by heart; take more text, or a smaller model.n_positions",
            "stop",
            "stops",
        )


def _exploding(course: Course) -> Advice | None:
    norms = _finite(course.grad_norms)
    if len(norms) < 120:
        return None
    now, before = statistics.median(norms[-20:]), statistics.median(norms[:-20])
    if now <= 10 * before or now <= 5 * course.config.train.grad_clip:
        return None
    return Advice(
        "exploding",
        f"the gradients explode: their norm is {now:.3g}, and was {before:.3g}",
        "lower_rate",
        "lowers the learning rate",
    )


def _rising(course: Course) -> Advice | None:
    """A loss that climbs and stays up, by more than the noise between steps explains."""
    # While the rate still climbs, the beginning is no measure.
    warm = course.config.train.warmup_steps
    steady = _finite(course.losses[-max(0, course.step - warm) or len(course.losses) :])
    blocks = _blocks(steady)
    if course.step <= warm or len(blocks) < 4:
        return None
    size = len(blocks[0])
    means = [statistics.fmean(block) for block in blocks]
    error = statistics.median(statistics.pstdev(block) for block in blocks) / math.sqrt(size)
    lowest = min(means[:-2])
    margin = max(0.04 * lowest, 6 * error)
    if min(means[-2:]) <= lowest + margin or means[-1] < means[-2] - error:
        return None
    at = course.step - size * (len(blocks) - 1 - means.index(lowest))
    return Advice(
        "rate too high",
        f"the loss rises since about step {at:,}, from {lowest:.2f} to {means[-1]:.2f}: the learning rate is too high",
        "lower_rate",
        "lowers it",
    )


def _overfitting(course: Course) -> Advice | None:
    evals = [e for e in course.evals if math.isfinite(e.val_loss)]
    best, since = _since_best(evals)
    if best is None or len(since) < 3:
        return None
    newest, rise = since[-1], since[-1].val_loss - best.val_loss
    falls = newest.train_loss < best.train_loss
    climbs = newest.val_loss >= max(e.val_loss for e in since) - 0.25 * rise
    if rise <= 0.01 * best.val_loss or not falls or not climbs:
        return None
    return Advice(
        "overfitting",
        f"overfitting: the validation loss rises since step {best.step:,} ({best.val_loss:.3f} to "
        f"{newest.val_loss:.3f}) while the training loss falls",
        "stop",
        "stops, and the best is kept",
    )


def _repeated(course: Course) -> Advice | None:
    if not course.n_train_tokens:
        return None
    train, model = course.config.train, course.config.model
    epochs = course.step * train.batch_size * model.n_positions / course.n_train_tokens
    best, since = _since_best([e for e in course.evals if math.isfinite(e.val_loss)])
    if best is None or epochs < _EPOCHS or len(since) < 2:
        return None
    return Advice(
        "repeated",
        f"the text was seen {epochs:,.0f} times, and the validation loss is no better since step {best.step:,}",
        "stop",
        "stops, and the best is kept",
    )


def _flat(course: Course) -> Advice | None:
    train = course.config.train
    losses, first = _finite(course.losses), _finite(course.first_losses)
    if course.step >= max(200, 2 * train.warmup_steps) and len(losses) >= 50 and first and not course.from_weights:
        begun, now = statistics.fmean(first), statistics.fmean(losses[-50:])
        if begun - now < 0.03 * begun:
            sentence = f"the loss has hardly moved: {begun:.2f} at first, {now:.2f} now"
            if train.learning_rate < 1e-4:
                return Advice("flat", sentence, "raise_rate", "raises the learning rate")
            return Advice("flat", sentence, "lower_rate", "lowers the learning rate, which may be too high")
    blocks = _blocks(losses)
    best, since = _since_best([e for e in course.evals if math.isfinite(e.val_loss)])
    if best is None or len(since) < 5 or course.step < 500 or course.progress > 0.85 or len(blocks) < 6:
        return None
    third = len(blocks) // 3
    before = [loss for block in blocks[:third] for loss in block]
    after = [loss for block in blocks[-third:] for loss in block]
    error = statistics.pstdev(after) / math.sqrt(len(after))
    if statistics.fmean(before) - statistics.fmean(after) > max(2 * error, 0.002 * statistics.fmean(after)):
        return None
    return Advice(
        "flat",
        f"no progress: neither loss has become better since step {best.step:,}, {len(since)} evaluations ago",
        "stop",
        "stops, and the best is kept",
    )


def _since_best(evals: Sequence[Evaluated]) -> tuple[Evaluated | None, Sequence[Evaluated]]:
    if not evals:
        return None, []
    at = min(range(len(evals)), key=lambda i: evals[i].val_loss)
    return evals[at], evals[at + 1 :]


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _blocks(values: list[float]) -> list[list[float]]:
    """The values in blocks of one size, the newest ones whole; the oldest ones that fill no block are left out."""
    size = max(_SMALLEST_BLOCK, len(values) // _BLOCKS)
    first = len(values) % size
    return [values[i : i + size] for i in range(first, len(values), size)]
