"""The parts of the Chat tab by themselves: foreign text is harmless, long text is fast, the selection is exact."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from screen import text_of
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import SELECT_ALL, Selection

from tui_gpt.core.chat_history import Reply, Turn
from tui_gpt.core.messages import Generating, WrittenPiece, Wrote
from tui_gpt.ui.chat.growing_text import GrowingText, row_starts
from tui_gpt.ui.chat.transcript import Transcript
from tui_gpt.ui.chat.writing import Writing

EVIL = "\x1b[2Jred\x9b31m [b]bold[/b] [@click=app.quit]x[/] \u202elive\x07"


class Page(App[None]):
    """A transcript and nothing else."""

    def compose(self) -> ComposeResult:
        yield Transcript("Nothing was said.")


def run_page(body: Callable[[Transcript, Pilot[Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        page = Page()
        async with page.run_test(size=(60, 20)) as pilot:
            await body(page.query_one(Transcript), pilot)

    asyncio.run(run())


def test_foreign_text_commands_nothing_and_is_no_markup() -> None:
    async def body(transcript: Transcript, pilot: Pilot[Any]) -> None:
        await transcript.show([Turn(said=EVIL, replies=[Reply(text=EVIL, title=EVIL, reason="eot")])])
        await pilot.pause()
        strips = pilot.app.screen._compositor.render_strips()
        shown = "\n".join(strip.text for strip in strips)
        assert not set("\x1b\x9b\x07\u202e") & set(shown)
        assert shown.count("␛[2Jred\\x9b31m [b]bold[/b]") == 3

    run_page(body)


def test_pieces_of_a_control_sequence_or_of_an_emoji_are_put_together_before_they_are_shown() -> None:
    writing = Writing(2)
    writing.begin(Generating(id=1, seed=5, prompt_tokens=1, title="toy", step=3))
    texts = ["a\x1b", "[2J", "\U0001f469", "\u200d", "\U0001f680", ""]
    shown = {0: "", 1: ""}
    for number, text in enumerate(texts):
        writing.add(Wrote(id=1, pieces=[WrittenPiece(sample=0, text=text, token_id=number)]))
        writing.add(Wrote(id=1, pieces=[WrittenPiece(sample=1, text="\u200d", token_id=number)]))
        for sample, new in writing.take():
            shown[sample] += new
    writing.flush()
    for sample, new in writing.take():
        shown[sample] += new
    assert shown[0] == "a␛[2J\U0001f469\u200d\U0001f680"
    assert shown[1] == "\\u200d" * 6
    first, second = writing.replies("stopped")
    assert first.text == "".join(texts)
    assert (first.tokens, first.seed, first.step, first.sample) == (6, 5, 3, 0)
    assert (second.sample, second.reason) == (1, "stopped")


@given(st.text(alphabet="ab \n世é🚀", max_size=80), st.integers(2, 9))
def test_no_row_is_wider_than_the_screen_and_none_of_the_text_is_lost(text: str, width: int) -> None:
    for paragraph in text.split("\n"):
        starts = list(row_starts(paragraph, 0, width))
        rows = [paragraph[a:b] for a, b in zip(starts, [*starts[1:], len(paragraph)], strict=True)]
        assert "".join(rows) == paragraph
        assert all(cell_len(row.rstrip()) <= width for row in rows)


@given(st.lists(st.text(alphabet="abcdefgh \n世", max_size=12), max_size=20), st.integers(4, 12))
def test_text_that_grows_is_broken_as_if_it_had_come_at_once(pieces: list[str], width: int) -> None:
    grown, whole = GrowingText(), GrowingText("".join(pieces))
    for text in (grown, whole):
        text._width = 0
    grown.get_content_height(None, None, width)  # type: ignore[arg-type]
    for piece in pieces:
        grown.grow(piece)
    whole.get_content_height(None, None, width)  # type: ignore[arg-type]
    assert grown._rows == whole._rows
    assert grown.text == whole.text


def test_the_mouse_selects_exactly_what_it_covers_across_broken_rows() -> None:
    async def body(transcript: Transcript, pilot: Pilot[Any]) -> None:
        long = "one two three four five six seven eight nine ten eleven twelve thirteen\nnext"
        await transcript.show([Turn(said="", replies=[Reply(text=long)])])
        await pilot.pause()
        text = transcript.query_one("ReplyView GrowingText", GrowingText)
        assert text.size.height == 3
        # From the second row of the first paragraph, as the compositor tells it from what was drawn.
        strip = text.render_line(1)
        offset = next(segment.style.meta["offset"] for segment in strip if segment.style)
        assert offset[1] == 0
        assert long[offset[0] :].startswith(strip.text.split()[0])
        selected = text.get_selection(Selection(Offset(4, 0), Offset(2, 1)))
        assert selected == (long[4:].removesuffix("xt"), "\n")
        assert text.get_selection(SELECT_ALL) == (long, "\n")
        pilot.app.screen.selections = {text: Selection(Offset(4, 0), Offset(7, 0))}
        await pilot.pause()
        assert [segment.text for segment in text.render_line(0)][:2] == ["one ", "two"]

    run_page(body)


def test_a_hundred_thousand_characters_grow_as_fast_as_the_first_ones() -> None:
    async def body(transcript: Transcript, pilot: Pilot[Any]) -> None:
        view = await transcript.add(Turn(said="x"))
        await view.show_empty(1)
        text = view.replies[0].body
        text.grow("several words and then\n" * 4400 + "end ")
        await pilot.pause()
        assert "end" in text_of(pilot.app.screen)
        began = time.process_time()
        for _ in range(50):
            text.grow("word ")
        assert time.process_time() - began < 0.25
        await pilot.pause()
        assert transcript.scroll_y == transcript.max_scroll_y

    run_page(body)


def test_who_scrolled_up_stays_there_while_text_comes() -> None:
    async def body(transcript: Transcript, pilot: Pilot[Any]) -> None:
        view = await transcript.add(Turn(said="x"))
        await view.show_empty(1)
        view.replies[0].body.grow("line\n" * 100)
        await pilot.pause()
        transcript.focus()
        await pilot.press("pageup")
        await pilot.pause()
        place = transcript.scroll_target_y
        assert place < transcript.max_scroll_y
        view.replies[0].body.grow("line\n" * 10)
        await pilot.pause()
        assert transcript.scroll_target_y == place
        await pilot.press("end")
        await pilot.pause()
        view.replies[0].body.grow("line\n" * 10)
        await pilot.pause()
        assert transcript.scroll_offset.y == transcript.max_scroll_y

    run_page(body)


@pytest.mark.parametrize("tabs", ["\tx", "a\tb\t"])
def test_tabs_take_room(tabs: str) -> None:
    assert GrowingText(tabs).text == tabs.replace("\t", "    ")
