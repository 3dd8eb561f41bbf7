"""Facts and tokens of a text in the Configure tab: copies, a leak, how much is read how often, and the token table."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from screen import run_screen, text_of, until
from textual.pilot import Pilot
from textual.widgets import Input

from tui_gpt.core.messages import TokenRows, TokensListed
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.configure.corpus_pane import CorpusPane
from tui_gpt.ui.configure.figures_pane import FiguresPane
from tui_gpt.ui.configure.token_dialog import TokenDialog
from tui_gpt.ui.configure.token_table import TokenTable, Vocabulary
from tui_gpt.ui.dialogs.explanation import ExplanationDialog
from tui_gpt.ui.session_client import Session
from tui_gpt.ui.tabs.configure import ConfigureTab

EVIL = "\x1b]0;owned\x07"
TEXT = "The cat sat on the mat.\n\n漢字 [b]naïve[/b] 🐕\n" * 40 + EVIL + "ZZZ"


async def opened(app: TuiGpt, pilot: Pilot[Any]) -> ConfigureTab:
    tab = await app.show_tab("configure")
    assert isinstance(tab, ConfigureTab)
    await until(pilot, lambda: tab.form.whole)
    tab.focus_first()
    await until(pilot, lambda: app.focused is not None and app.focused.id == "start")
    return tab


async def listed(app: TuiGpt, pilot: Pilot[Any]) -> TokenDialog:
    await pilot.press("ctrl+r")
    await until(pilot, lambda: isinstance(app.screen, TokenDialog) and app.screen.vocabulary)
    assert isinstance(app.screen, TokenDialog)
    return app.screen


def rows(dialog: TokenDialog) -> list[list[str]]:
    return [line.split() for line in text_of(dialog.query_one(TokenTable)).splitlines() if line.strip()]


def test_every_token_of_a_text_is_listed_sorted_and_found(home: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_text(TEXT, encoding="utf-8")
    app = TuiGpt(str(corpus))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        dialog = await listed(app, pilot)
        assert dialog.vocabulary is not None
        n = len(dialog.vocabulary.counts)
        await until(pilot, lambda: f"{n} tokens (char) of a.txt, the most frequent first" in text_of(app.screen))
        # ESC, BEL, ], 0, ;, o, w, n and Z stand only at the end, which is validated on.
        await until(pilot, lambda: "never occur in the training part" in text_of(app.screen))
        await until(pilot, lambda: rows(dialog)[0][-2:] == ["U+0020", "SPACE"])
        assert rows(dialog)[0][-3] == "␣"
        await pilot.press("end")
        await until(pilot, lambda: any("U+005A" in row for row in rows(dialog)))
        await pilot.press("o")
        await until(pilot, lambda: rows(dialog)[0][0] == "0")
        assert "by id" in text_of(app.screen) and "▾id" in text_of(app.screen)
        await pilot.press("o")
        await until(pilot, lambda: "🐕" in " ".join(rows(dialog)[0]))
        assert safe_text(text_of(app.screen)) == text_of(app.screen)

        await pilot.press("slash")
        find = dialog.query_one("#find", Input)
        await until(pilot, lambda: find.has_focus)
        for wanted, text in (("字", "字"), (r"\n", "␊"), (r"\x1b", "␛"), ("#0", None)):
            find.value = wanted
            await until(pilot, lambda wanted=wanted: f"1 of {n} tokens" in text_of(app.screen) and find.value == wanted)
            assert len(rows(dialog)) == 1
            assert text is None or text in rows(dialog)[0]
        await pilot.press("enter")
        await until(pilot, lambda: dialog.query_one(TokenTable).has_focus)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, ExplanationDialog))
        assert "Share is its part of all" in text_of(app.screen) and "Sort" in text_of(app.screen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is dialog)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    run_screen(body, app=app, size=(80, 24))


def test_facts_tell_of_copies_a_leak_and_how_much_is_read_how_often(home: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "rows.jsonl"
    corpus.write_text("\n".join(f'{{"text": "row {n % 16:02} of twenty"}}' for n in range(20)), encoding="utf-8")
    app = TuiGpt(str(corpus))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        tab.state.choose_preset("tiny")
        for path, text in (("data.corpus", str(corpus)), ("train.max_steps", ""), ("train.max_epochs", "2.3")):
            tab.state.set(path, text)
        tab.form.put_all()
        pane, figures = tab.query_one(CorpusPane), tab.query_one(FiguresPane)
        data = tab.config().data
        await until(pilot, lambda: tab.exploration.data == data and tab.exploration.facts)
        await until(pilot, lambda: "duplicates 4, 20 %" in text_of(pane))
        assert "shortest   16 characters" in text_of(pane) and "longest    16 characters" in text_of(pane)
        facts = tab.exploration.facts
        assert facts is not None and facts.repeats is not None and facts.repeats.leaked == 2
        await until(pilot, lambda: "validation loss" in str(tab.query_one("#corpus-facts").render()))
        await until(pilot, lambda: "70 % twice, 30 % 3 times" in str(figures.query_one("#figures").render()))
        tab.form.put("train.max_epochs", "0.25")
        await until(pilot, lambda: "75 % never, 25 % once" in str(figures.query_one("#figures").render()))
        tab.form.put("train.max_epochs", "")
        tab.form.put("train.max_minutes", "1")
        await until(pilot, lambda: "? times" in str(figures.query_one("#figures").render()))
        assert "never" not in str(figures.query_one("#figures").render())

    run_screen(body, app=app)


def test_a_text_that_cannot_be_read_is_a_sentence_in_the_dialog(home: Path, tmp_path: Path) -> None:
    app = TuiGpt(str(tmp_path / "gone.txt"))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, TokenDialog) and "gone.txt" in text_of(app.screen))
        await pilot.press("o", "end", "slash", "x", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        tab.form.put("data.bpe_vocab_size", "many")
        await until(pilot, lambda: "data.bpe_vocab_size" in tab.form.problems)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "data.bpe_vocab_size" in text_of(app.screen))
        assert len(app.screen_stack) == 1

    run_screen(body, app=app)


def test_fifty_thousand_tokens_are_shown_a_screenful_at_a_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 50_257
    drawn: list[int] = []

    async def request(_self: Session, request_: object, on_event: Any = None) -> TokensListed:
        if type(request_).__name__ != "ListTokens":
            await asyncio.Event().wait()
        for first in range(0, n, 1000):
            ids = range(first, min(first + 1000, n))
            on_event(
                TokenRows(
                    first=first,
                    texts=[f" word {i}" for i in ids],
                    lengths=[len(f" word {i}") for i in ids],
                    counts=list(ids),
                )
            )
            await asyncio.sleep(0)
        return TokensListed(source="big", tokenizer="gpt2", vocab_size=n, train_tokens=n, end_of_text=n - 1)

    monkeypatch.setattr(Session, "request", request)
    segments = TokenTable._segments

    def counted(self: TokenTable, vocabulary: Vocabulary, token: int, width: int) -> Any:
        drawn.append(token)
        return segments(self, vocabulary, token, width)

    monkeypatch.setattr(TokenTable, "_segments", counted)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        dialog = await listed(app, pilot)
        await until(pilot, lambda: rows(dialog)[0][0] == "50256" and "between documents" in text_of(app.screen))
        await pilot.press("end")
        await until(pilot, lambda: rows(dialog)[-1][0] == "0")
        await pilot.press("pageup", "home")
        await until(pilot, lambda: rows(dialog)[0][0] == "50256")
        assert len(drawn) < 1000

    run_screen(body)


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_token_is_one_line_of_any_width(width: int) -> None:
    table = TokenTable()
    vocabulary = Vocabulary.of(["a" * 200, EVIL, "\n", "🐕" * 60], [200, 9, 1, 240], [10**12, 0, 3, 1], 0)
    table._pen = lambda part: None  # type: ignore[assignment, method-assign, return-value]
    for token in range(4):
        line = "".join(segment.text for segment in table._segments(vocabulary, token, width))
        assert safe_text(line, newlines=False) == line
        assert line.split()[0] == str(token)
