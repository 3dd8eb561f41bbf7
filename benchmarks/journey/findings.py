"""What a row found: a figure with its unit, its aim, and what it is made of."""

from __future__ import annotations

from typing import Literal

import msgspec

Aim = Literal["at most", "at least", "exactly", "told"]
"""`told` has no aim of its own."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a row."""

    row: str
    what: str
    value: float | None
    """None where it did not come to pass."""
    unit: str
    aim: Aim = "told"
    bound: float | None = None
    values: list[float] = []
    """What `value` is the median (or what `what` says) of, in the order of measuring."""
    notes: list[str] = []

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.aim == "told" or self.bound is None:
            return None
        if self.value is None:
            return False
        if self.aim == "at most":
            return self.value <= self.bound
        return self.value >= self.bound if self.aim == "at least" else self.value == self.bound

    def lines(self) -> list[str]:
        """For people."""
        shown = "did not come to pass" if self.value is None else f"{self.value:.4g} {self.unit}".rstrip()
        verdict = ""
        if self.bound is not None and self.met is not None:
            verdict = f"  {self.aim} {self.bound:g}: {'met' if self.met else 'NOT MET'}"
        spread = ""
        if len(self.values) > 1:
            spread = f"  ({len(self.values)} values, {min(self.values):.4g} to {max(self.values):.4g})"
        first = f"{self.row:<22}{self.what:<58}{shown:>14}{verdict}{spread}"
        return [first, *(f"{'':<22}  {note}" for note in self.notes)]
