"""Nothing foreign commands or deceives a terminal, and ordinary text of any script stays as it is."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.safe_text import safe_text

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[2J\x1b]52;c;aGk=\x07", "␛[2J␛]52;c;aGk=␇"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x00\x7f", "a␍b␀␡"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("zero\u200bwidth\ufeff\u00ad\u2060", "zero\\u200bwidth\\ufeff\\xad\\u2060"),
        ("\ud800", "\\ud800"),
        ("line\u2028para\u2029next\x85", "line\\u2028para\\u2029next\\x85"),
        ("\ue000\U000f0000\U000e0041", "\\ue000\\U000f0000\\U000e0041"),
        ("\u0378\U0010ffff", "\\u0378\\U0010ffff"),
        ("a\ufe0fb\u3164\u2800", "a\\ufe0fb\\u3164\\u2800"),
        ("hidden\U000e0100\ufe00", "hidden\\U000e0100\\ufe00"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f\\ufe0f"),
        ("a\u200db", "a\\u200db"),
    ],
)
def test_what_commands_or_deceives_becomes_visible(foreign: str, shown: str) -> None:
    assert safe_text(foreign) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Plain text,\n\twith tabs and lines.\n",
        "Grüße, čeština, Ελληνικά, Русский, עברית, العربية ١٢٣ \u0600, हिन्दी, ไทย, 한국어, 日本語、中文",
        "e\u0301 combined, no\u00a0break, wide\u3000space",
        "👍🏽 👩‍👩‍👧‍👦 ❤️‍🔥 🇨🇭 1️⃣ ☺︎ 🏳️‍🌈 👩🏽‍💻",
        "∑∫√ ⟨x⟩ ␛ \\x1b █▓▒░ ♔",
    ],
)
def test_ordinary_text_of_any_script_stays(text: str) -> None:
    assert safe_text(text) == text


def test_without_newlines_the_result_is_one_line() -> None:
    assert safe_text("a\nb\r\nc\td", newlines=False) == "a␊b␍␊c\td"


@given(ANY_TEXT, st.booleans())
def test_no_text_gets_a_control_a_format_or_a_surrogate_through(text: str, newlines: bool) -> None:
    result = safe_text(text, newlines=newlines)
    result.encode("utf-8")
    for character in result:
        if character == "\t" or (character == "\n" and newlines) or character == "\u200d":
            continue
        category = unicodedata.category(character)
        assert category not in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert (
            category != "Cf"
            or "NUMBER" in unicodedata.name(character)
            or "AYAH" in unicodedata.name(character)
            or "MARK" in unicodedata.name(character)
        )


@given(ANY_TEXT)
def test_what_is_safe_stays_as_it_is(text: str) -> None:
    once = safe_text(text)
    assert safe_text(once) == once


@pytest.mark.parametrize("unit", ["plain ascii text\n", "日本語の文 👍🏽\n", "\x1b[31mred\u202e\x9b", "a\u200db\ufe0f"])
def test_a_megabyte_takes_no_more_than_seconds(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    safe_text(text)
    assert time.process_time() - began < 15.0
