"""Every tab at three sizes, dark and light, as it looked when somebody last agreed to it.

`python -m pytest tests/app/test_snapshots.py --snapshot-update` accepts how it looks now; look at it first.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from screen import text_of, until
from still_life import furnish, open_at
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from tui_gpt.core import locations, processor
from tui_gpt.ui.app import TuiGpt

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
THEMES = {"dark": "textual-dark", "light": "textual-light"}
THERE = {
    "configure": "characters",
    "train": "sample",
    "models": "fables",
    "chat": "Then a storm came",
}
"""What is on a tab once it shows all it has."""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, one_example: Path) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("still-life")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(home))
        patch.setattr(locations, "example_models_dir", lambda: one_example)
        patch.setenv("HOME", str(home))  # paths below it begin with ~
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(processor, "has_bf16", lambda: True)
        patch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16_000_000_000))
        furnish()
        patch.chdir(home)
        Path("fables.txt").write_text("A fox saw a crow on a branch, with a piece of cheese in its beak.\n" * 200)
        yield home
    time.tzset()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tab", THERE)
def test_a_tab_looks_as_agreed(
    tab: str, size: str, theme: str, furnished: Path, snap_compare: Callable[..., bool]
) -> None:
    open_at(tab, theme=THEMES[theme])

    async def settle(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, TuiGpt)
        await until(pilot, lambda: app.tab is not None and THERE[tab] in text_of(app.screen))
        await until(pilot, lambda: app.session.running)
        await _come_to_rest(app, pilot)
        for field in app.query("Input, TextArea"):
            assert isinstance(field, Input | TextArea)
            field.cursor_blink = False
        await pilot.pause()

    app = TuiGpt("fables.txt" if tab == "configure" else None)
    app.stands_by = False
    assert snap_compare(app, terminal_size=SIZES[size], run_before=settle)


async def _come_to_rest(app: TuiGpt, pilot: Pilot[Any]) -> None:
    """Until three looks in a row, over more than one look at the runs, show the same, and nothing is being read."""
    looks: list[str] = []
    while len(looks) < 3 or len(set(looks[-3:])) > 1 or re.search(r"\d+ ?%|loading", looks[-1]):
        await pilot.pause(0.2)
        looks.append(text_of(app.screen))
        assert len(looks) < 300, "it does not come to rest"
