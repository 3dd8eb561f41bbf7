"""What a guard is, and asking one: its verdict within bounds, whatever a plug-in gives."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from tui_gpt.core.errors import TuiGptError

LONGEST_REASON = 300
LONGEST_REFUSAL = 2000
_NO_REFUSAL = "This is not what I am here for."


class GuardError(TuiGptError):
    """A guard that gave no verdict."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard makes of a prompt."""

    accepted: bool
    reason: str
    """Why, in a few words: `names Python ("python")`. Foreign text, as the refusal is."""
    refusal: str = ""
    """What is answered in the model's place where the prompt is declined."""
    guard: str = ""
    """Who judged. `judge` sets this and the seconds."""
    seconds: float = 0.0


class Guard(Protocol):
    """Three things make a guard."""

    @property
    def name(self) -> str:
        """What it is chosen by."""

    @property
    def title(self) -> str:
        """What it lets through, in a few words."""

    def check(self, prompt: str) -> Verdict:
        """Whether `prompt` is one for the model. It may be of any length and hold anything."""


def judge(guard: Guard, prompt: str) -> Verdict:
    """The guard's verdict with its name and the seconds it took. Raises GuardError where it gives none."""
    began = time.perf_counter()
    try:
        verdict = guard.check(prompt)
    except Exception as error:
        # A plug-in is the code of others and may raise anything.
        first = str(error).strip().split("\n", 1)[0][:LONGEST_REASON]
        raise GuardError(
            f"guard {guard.name} gave no verdict: {type(error).__name__}: {first}; mend it or choose another"
        ) from None
    if not isinstance(verdict, Verdict) or not isinstance(verdict.reason, str) or not isinstance(verdict.refusal, str):
        raise GuardError(f"guard {guard.name} gave no verdict but {type(verdict).__name__}; mend it or choose another")
    refusal = "" if verdict.accepted else verdict.refusal[:LONGEST_REFUSAL] or _NO_REFUSAL
    return Verdict(
        accepted=bool(verdict.accepted),
        reason=verdict.reason[:LONGEST_REASON],
        refusal=refusal,
        guard=guard.name,
        seconds=time.perf_counter() - began,
    )


def account(verdict: Verdict, tokens: int, seconds: float) -> str:
    """The line that goes with an answer: `declined by python: names another language ("java"); 0 tokens in 0.00 s`."""
    what = "accepted" if verdict.accepted else "declined"
    plural = "" if tokens == 1 else "s"
    return f"{what} by {verdict.guard}: {verdict.reason}; {tokens:,} token{plural} in {seconds:.2f} s"
