"""Several corpora in the form: typed as a list, explored with their shares, and blamed by their own field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from screen import run_screen, text_of, until
from textual.pilot import Pilot

from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.configure.corpus_pane import CorpusPane
from tui_gpt.ui.configure.summary import Summary
from tui_gpt.ui.tabs.configure import ConfigureTab

CATS = "The cat sat on the mat. " * 100
DOGS = "A dog ran to the cat. " * 50


def test_a_mix_is_explored_with_every_share_and_a_part_that_is_not_there_leads_to_its_field(
    home: Path, tmp_path: Path
) -> None:
    cats, dogs = tmp_path / "cats.txt", tmp_path / "dogs \x1b[31m.txt"
    cats.write_text(CATS, encoding="utf-8")
    dogs.write_text(DOGS, encoding="utf-8")
    app = TuiGpt(str(cats))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await app.show_tab("configure")
        assert isinstance(tab, ConfigureTab)
        await until(pilot, lambda: tab.form.whole)
        mix = tab.form.rows["data.mix"]
        tab.form.put("data.mix", rf'["{tmp_path}/dogs \u001b[31m.txt=0.25"]')
        await until(pilot, lambda: tab.exploration.facts is not None and tab.exploration.facts.parts)
        facts = tab.exploration.facts
        assert facts is not None and [part.share for part in facts.parts] == [0.75, 0.25]
        pane = tab.query_one(CorpusPane)
        await until(pilot, lambda: "75 %" in text_of(pane) and "25 %" in text_of(pane))
        assert "cats.txt, 1 x" in text_of(pane) and "\x1b" not in text_of(pane)
        assert facts.epoch_tokens == 2160 / 0.75
        await until(pilot, lambda: "on cats.txt and 1 other" in " ".join(text_of(tab.query_one(Summary)).split()))

        tab.state.choose_preset("tiny")
        tab.form.put_all()
        assert len(tab.config().data.mix) == 1, "a preset leaves the texts as they are"

        tab.form.put("data.mix", "dogs.txt=2")
        await until(pilot, lambda: "must be above 0 and below 1" in mix.problem)
        tab.form.put("data.mix", "nothing.txt=0.5")
        await until(pilot, lambda: not mix.problem)
        tab.start()
        await until(pilot, lambda: mix.editor.has_focus)
        assert tab.config().data.mix == ("nothing.txt=0.5",)

    run_screen(body, app=app)
