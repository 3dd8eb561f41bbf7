"""What a text says more than once, in figures and in words: copies of documents, or of paragraphs of the only one."""

from __future__ import annotations

from typing import Literal

import msgspec

LEAK_WORTH_SAYING = 0.01
"""Share of the validation part from which on it matters that it stands in the training part too. A few short speeches
or list entries that happen to recur are no leak."""


class Repeats(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a text repeats itself, word for word."""

    unit: Literal["documents", "paragraphs"]
    """What was compared: whole documents; of a text that is one document, paragraphs, parted by blank lines and without
    the white space around them. Empty ones do not count."""
    counted: int
    copies: int
    """Those that equal an earlier one: without them, each would be there once."""
    copied_characters: int
    characters: int
    """Of all that were counted."""
    leaked: int
    """Those within the validation part that stand in the training part as well."""
    leaked_characters: int
    validation_characters: int
    """Of those within the validation part. What the border between the two parts cuts in two belongs to neither."""
    exact: bool = True
    """False where there were so many that a share of them, chosen by their hashes, stands for all."""

    @property
    def copied_share(self) -> float:
        """Of the characters that were counted, 0 to 1."""
        return self.copied_characters / self.characters if self.characters else 0.0

    @property
    def leaked_share(self) -> float:
        """Of the characters of the validation part, 0 to 1."""
        return self.leaked_characters / self.validation_characters if self.validation_characters else 0.0

    @property
    def worth_saying(self) -> bool:
        """Whether there was anything to compare."""
        return self.counted > 1


def in_words(repeats: Repeats) -> str:
    """What was counted, and what was found, as half a sentence."""
    what = f"{_about(repeats)}{repeats.counted:,} {_unit(repeats)}"
    if not repeats.copies:
        return f"none among {what}"
    verb = "is a copy" if repeats.copies == 1 else "are copies"
    return f"{repeats.copies:,} of {what} {verb} of an earlier one, {_percent(repeats.copied_share)} of the characters"


def in_short(repeats: Repeats) -> str:
    """What was found where there is little room, and what was counted stands beside it."""
    if not repeats.copies:
        return "none"
    return f"{_about(repeats)}{repeats.copies:,}, {_percent(repeats.copied_share).replace('less than', '<')}"


def leak_warning(repeats: Repeats) -> str:
    """Why the validation loss will look too good, one sentence; empty where it will not, or by next to nothing."""
    if repeats.leaked_share < LEAK_WORTH_SAYING:
        return ""
    unit = repeats.unit.removesuffix("s") if repeats.leaked == 1 else repeats.unit
    stand = "stands" if repeats.leaked == 1 else "stand"
    return (
        f"{_about(repeats)}{repeats.leaked:,} {unit} of the validation part, {_percent(repeats.leaked_share)} of it, "
        f"{stand} in the training part too: the validation loss will look better than the model is"
    )


def _unit(repeats: Repeats) -> str:
    return "paragraphs (parted by blank lines)" if repeats.unit == "paragraphs" else "documents"


def _about(repeats: Repeats) -> str:
    return "" if repeats.exact else "about "


def _percent(share: float) -> str:
    """Never `0 %` of something, nor `100 %` of less than all."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{min(100 * share, 99.9) if share < 1 else 100:.3g} %"
