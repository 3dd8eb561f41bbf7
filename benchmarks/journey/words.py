"""How much of a sample is words: the share that occurs in the corpus."""

from __future__ import annotations

import re

LOOKED_AT = 200
"""Characters of a sample that count."""

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
"""Letters, and apostrophes between letters."""


def words_of(text: str) -> list[str]:
    """The words in their order, in lower case; figures and marks are none."""
    return [word.lower() for word in _WORD.findall(text)]


def vocabulary_of(texts: list[str]) -> frozenset[str]:
    """Every word that occurs."""
    return frozenset(word for text in texts for word in words_of(text))


def word_share(text: str, vocabulary: frozenset[str], prompt: str = "") -> float:
    """Of the words in the first 200 characters of `text`, the share that the vocabulary has; 0 where there is none.

    A word counts as often as it stands there. One that `prompt` begins is completed by it; one that the 200th character
    cuts through is left out, and so is what is no more than the rest of the prompt's last word.
    """
    cut = text[:LOOKED_AT]
    spans = [(match.start(), match.end(), match.group()) for match in _WORD.finditer(cut)]
    if spans and len(text) > LOOKED_AT and spans[-1][1] == LOOKED_AT and _WORD.match(text[LOOKED_AT]):
        spans.pop()
    words = [word.lower() for _, _, word in spans]
    if spans and spans[0][0] == 0 and (begun := re.search(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*$", prompt)):
        words[0] = begun.group().lower() + words[0]
    return sum(word in vocabulary for word in words) / len(words) if words else 0.0
