"""The few points by which a model remembers how its loss fell."""

from __future__ import annotations

import itertools
from pathlib import Path

from tui_gpt.core.runs.loss_curve import loss_curve
from tui_gpt.core.runs.metrics import MetricsWriter


def evaluated(folder: Path, begin: int, *steps: int, loss: float = 0.0) -> None:
    with MetricsWriter(folder, begin) as metrics:
        for step in steps:
            metrics.write("train", step, {"loss": 9.0})
            metrics.write("eval", step, {"val_loss": loss or 5.0 - step / 1000})


def points(folder: Path, last: int = 10_000) -> list[tuple[int, float]]:
    return [(point.step, point.val_loss) for point in loss_curve(folder, last)]


def test_ten_points_stand_for_many_and_the_ends_are_among_them(tmp_path: Path) -> None:
    evaluated(tmp_path, 0, *range(10, 1010, 10))
    found = points(tmp_path)
    assert len(found) == 10
    assert found[0] == (10, 4.99)
    assert found[-1] == (1000, 4.0)
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(found)]
    assert set(gaps) == {110}
    assert points(tmp_path, 25) == [(10, 4.99), (20, 4.98)]


def test_what_a_later_trainer_repeated_counts_as_that_found_it(tmp_path: Path) -> None:
    evaluated(tmp_path, 0, 10, 20, 30)
    evaluated(tmp_path, 15, 20, loss=2.5)
    assert points(tmp_path) == [(10, 4.99), (20, 2.5)]


def test_garbage_and_losses_that_are_no_numbers_are_passed_over(tmp_path: Path) -> None:
    evaluated(tmp_path, 0, 10)
    with MetricsWriter(tmp_path, 10) as metrics:
        metrics.write("eval", 20, {"val_loss": float("nan")})
        metrics.write("eval", 30, {"val_loss": "low"})
    (segment,) = tmp_path.glob("metrics-0002*")
    with segment.open("ab") as handle:
        handle.write(
            b'{"kind":"eval","step":\n\xff\n{"kind":"eval","step":40,"values":{"val_loss":1.0}}\n{"kind":"eval"'
        )
    assert points(tmp_path) == [(10, 4.99), (40, 1.0)]
    assert points(tmp_path / "nowhere") == []
