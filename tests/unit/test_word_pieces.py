"""Pieces found by arithmetic are those of GPT-2's pattern, as `tokenizers` applies it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from tui_gpt.engine.text.word_pieces import piece_starts

PATTERN = ByteLevel(add_prefix_space=False, use_regex=True)
# Few characters, so that contractions and runs of white space come about often.
ASCII = st.text(alphabet="'stmdlverST a1 \n\t.,", min_size=1, max_size=40)


@given(ASCII)
@example("we've they're I'll he'd 'v 'l 'll' don't'")
@example("a  b\n\n c\t ")
def test_pieces_of_ascii_are_those_of_the_pattern(text: str) -> None:
    expected = [begin for _, (begin, _) in PATTERN.pre_tokenize_str(text)]
    assert piece_starts(text.encode("ascii")).tolist() == [*expected, len(text)]
