"""What can be done to a run in each of its states, and in words why something else cannot."""

from __future__ import annotations

from collections.abc import Callable

from tui_gpt.core.runs.states import ALIVE, RESUMABLE
from tui_gpt.core.runs.store import DamagedRun, RunSummary

KeyOf = Callable[[str], str]
"""The key of an action of the tab, as people read it."""

_NEEDS_A_RUN = frozenset(
    {"pause", "step", "lower_rate", "raise_rate", "save", "stop", "resume", "fork", "overlay", "rename", "delete"}
    | {"chat", "log", "sample"}
)
_EVEN_DAMAGED = frozenset({"delete", "rename"})
_STEERING = frozenset({"pause", "lower_rate", "raise_rate", "save"})


def refusal(action: str, run: RunSummary | DamagedRun | None, key_of: KeyOf) -> str:
    """Why `action` makes no sense for this run now, in a sentence; empty when it does."""
    if action not in _NEEDS_A_RUN:
        return ""
    if run is None:
        return "there is no run yet; F5 starts one"
    if isinstance(run, DamagedRun):
        return "" if action in _EVEN_DAMAGED else f"{run.name} is damaged and cannot be used: {run.problem}"
    if action in _STEERING or action == "step":
        return _steering_refusal(action, run, key_of)
    return _keeping_refusal(action, run, key_of)


def _keeping_refusal(action: str, run: RunSummary, key_of: KeyOf) -> str:
    name, alive, why = run.name, run.state in ALIVE, ""
    match action:
        case "stop" if not alive:
            why = f"{name} has no trainer that could be stopped: {_ended(run, key_of)}"
        case "resume" if run.state == "finished":
            why = f"{name} is finished; {key_of('fork')} makes a longer run of it, from a checkpoint"
        case "resume" if alive and run.state != "paused":
            why = f"{name} is {run.state} already"
        case "fork" if run.last_checkpoint is None:
            why = f"{name} has no checkpoint to fork from yet; {key_of('save')} makes one while it trains"
        case "rename" if alive:
            why = f"{name} has a trainer, and cannot be renamed meanwhile; {key_of('stop')} stops it"
        case "delete" if alive:
            why = f"{name} has a trainer, and cannot be deleted meanwhile; {key_of('stop')} stops it"
    return why


def _steering_refusal(action: str, run: RunSummary, key_of: KeyOf) -> str:
    name = run.name
    if run.state == "hung":
        return (
            f"the trainer of {name} gives no sign of life and would not hear it; {key_of('log')} shows its log, "
            f"{key_of('stop')} ends it"
        )
    if run.state not in ALIVE:
        return f"{name} has no trainer: {_ended(run, key_of)}"
    if action == "step" and run.state != "paused":
        return f"{name} is {run.state}; {key_of('pause')} pauses it, and single steps can be made then"
    return ""


def _ended(run: RunSummary, key_of: KeyOf) -> str:
    if run.state in RESUMABLE:
        return f"it is {run.state}, and {key_of('resume')} goes on with it"
    return f"it is {run.state}, and {key_of('fork')} forks it"
