"""The Configure tab and corpora of the network: nothing is fetched before somebody says so, and then with progress."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_imitation import Repository, imitation
from screen import run_screen, text_of, until
from textual.pilot import Pilot
from textual.widgets import OptionList

from tui_gpt.core.corpora import CATALOGUE
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.configure.corpus_pane import CorpusPane
from tui_gpt.ui.tabs.configure import ConfigureTab


def shown(pane: CorpusPane) -> str:
    """What is on it, whatever the lines it is broken into."""
    return " ".join(text_of(pane).split())


def test_a_corpus_of_the_network_is_fetched_when_somebody_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": [f"The fox met the sea {n} times." for n in range(200)]}), out)
    with imitation() as hub:
        repository = hub.repositories["datasets/a/foxes"] = Repository()
        repository.commit({"data/train-00000-of-00001.parquet": out.getvalue()})
        for name, value in (
            ("HF_ENDPOINT", hub.address),
            ("HF_HOME", str(tmp_path / "hub")),
            ("HF_HUB_DISABLE_XET", "1"),
            ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ):
            monkeypatch.setenv(name, value)

        async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
            tab = await app.show_tab("configure")
            assert isinstance(tab, ConfigureTab)
            await until(pilot, lambda: tab.form.whole)
            pane = tab.query_one(CorpusPane)
            assert tab.check_action("fetch", ()) is False

            tab.query_one("#corpora", OptionList).focus()
            for place, corpus in enumerate(CATALOGUE):
                tab.query_one("#corpora", OptionList).highlighted = place
                if corpus == "tinystories":
                    await pilot.press("enter")
            await until(pilot, lambda: "TinyStories is not on this machine yet. About 50 MB, from" in shown(pane))

            tab.form.put("data.corpus", "hub:a/foxes")
            await until(pilot, lambda: "An amount that only the Hub knows" in shown(pane))
            assert hub.requests == 0

            repository.status = 500
            tab.focus_first()
            await pilot.press("ctrl+g")
            await until(pilot, lambda: "the Hub answered 500" in shown(pane))
            repository.status = 200
            await pilot.press("ctrl+g")
            await until(pilot, lambda: tab.exploration.facts is not None)
            facts = tab.exploration.facts
            assert facts is not None and (facts.documents, facts.columns) == (200, ["text"])
            assert tab.check_action("fetch", ()) is False

        run_screen(body)
