"""One question with its true answer, what counts as a right answer to it, and whether it is kept from training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Check = Callable[[str], bool]


class Message(NamedTuple):
    """What one side says: `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer.

    `kind` groups the figures ("story", "who (passage)"); `key` says what must not be met in training when it is
    reserved: the combination that is asked for, whatever the wording, or the wording itself. `right_form` accepts every
    answer of the kind that was asked for, `is_true` those that are true as well.
    """

    kind: str
    question: str
    answer: str
    key: str
    right_form: Check
    is_true: Check

    @property
    def reserved(self) -> bool:
        """Whether this one is never trained on: one key in ten, by the first byte of its SHA-256."""
        return hashlib.sha256(self.key.encode()).digest()[0] < 26


def says(text: str, wanted: str) -> bool:
    """Whether `text` has the words of `wanted`, not as a part of other words.

    Small letters stand for capitals too, but a capital only for itself: Berry is not in "berry pie".
    """
    text = f" {text if wanted != wanted.lower() else text.lower()} "
    start = text.find(wanted)
    while start >= 0:
        before, after = text[start - 1], text[start + len(wanted)]
        if not (before.isalnum() or after.isalnum()):
            return True
        start = text.find(wanted, start + 1)
    return False


def telling(needs: Sequence[str], rivals: Sequence[str] = ()) -> Check:
    """Accepts texts that say all of `needs` and none of `rivals` (other people and places of the same story)."""

    def check(text: str) -> bool:
        return all(says(text, need) for need in needs) and not any(says(text, rival) for rival in rivals)

    return check
