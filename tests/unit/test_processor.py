"""Which precision is to be expected, before anybody measures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_gpt.core import processor
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.presets import PRESETS
from tui_gpt.ui.configure.calibrations import Calibrations
from tui_gpt.ui.configure.weighing import weigh


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    processor.has_bf16.cache_clear()
    yield
    processor.has_bf16.cache_clear()


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu avx512f avx512_vnni", False),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("Features\t: fp asimd", False),
    ],
)
def test_the_flags_of_the_processor_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, line: str, has: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    assert processor.has_bf16() is has
    for wanted, expected in (("auto", "bf16" if has else "float32"), ("float32", "float32"), ("bf16", "bf16")):
        config = build_config(("quick", PRESETS["quick"].tree), ("test", {"train": {"precision": wanted}}))
        assert weigh(config, None, Calibrations(), 1 << 34).precision == expected


def test_where_nothing_is_told_bf16_is_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "nothing")
    assert processor.has_bf16()
