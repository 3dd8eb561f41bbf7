"""When to evaluate: every so many steps, or by how far the run has come."""

from __future__ import annotations

from tui_gpt.core.config import TrainConfig

_FIRST_STEP = 10
"""Evaluated in any case, so that a first sample is there within seconds, however long the run; nothing before it is."""
_EARLY = (0.01, 0.02, 0.05)


class EvaluationPlan:
    """Says after which steps to evaluate; `passed` counts the automatic milestones that are behind."""

    def __init__(self, train: TrainConfig, passed: int = 0) -> None:
        self._interval = train.eval_interval
        self._marks = [*_EARLY, *(tenth / 10 for tenth in range(1, 10))]
        self.passed = passed

    def due(self, step: int, progress: float) -> bool:
        """Whether to evaluate now that `step` steps are done and the run is at `progress`; call once per step.

        The end of the run is not a milestone: it is evaluated in any case.
        """
        if self._interval:
            return step % self._interval == 0
        behind = sum(1 for mark in self._marks if progress >= mark)
        new = behind > self.passed
        self.passed = max(self.passed, behind)
        return step == _FIRST_STEP or (new and step > _FIRST_STEP)
