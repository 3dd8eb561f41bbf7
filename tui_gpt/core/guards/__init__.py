"""Guards: each decides whether a prompt is one for the model at hand, says why, and answers the rest by itself."""

from tui_gpt.core.guards.finding import FoundGuard, find_guard, guard_names, list_guards
from tui_gpt.core.guards.guard import Guard, GuardError, Verdict, account, judge

__all__ = [
    "FoundGuard",
    "Guard",
    "GuardError",
    "Verdict",
    "account",
    "find_guard",
    "guard_names",
    "judge",
    "list_guards",
]
