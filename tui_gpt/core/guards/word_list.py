"""A guard that is a file: weighted words and patterns, a threshold, and the sentence for what is declined.

The file is TOML (docs/guards.md). Its patterns are no regular expressions but words in a row, so that whatever a file
and a prompt hold, a verdict takes milliseconds.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from tui_gpt.core.config_loading import parse_toml
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.given_files import read_given
from tui_gpt.core.guards.guard import Verdict

LARGEST_FILE = 256 << 10
"""Bytes of a guard's file."""
MOST_TERMS = 10_000
"""Words and patterns of all rules together."""
LONGEST_TERM = 8
"""Parts of one: words and single signs."""
BEGINNING, END = 6000, 2000
"""Characters of a prompt that are looked at; what lies between, no question needs."""

_MOST_ATTEMPTS = 100_000
"""How often a pattern is tried at a place of one prompt: far more than a file made in good faith needs."""
_GAP = 3
"""Parts that `...` may stand for, at most."""
_SHOWN = 3
"""Findings of one rule in a reason, at most."""
_LONGEST_SHOWN = 30
_TOKEN = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_PATTERN_TOKEN = re.compile(r"\.\.\.|<\w+>|\w+(?:['’]\w+)*\*?|[^\w\s]")

_Text = Annotated[str, Meta(min_length=1, max_length=120)]
_Sentence = Annotated[str, Meta(min_length=1, max_length=500)]
_Term = Annotated[str, Meta(min_length=1, max_length=80)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words and patterns that say the same about a prompt."""

    says: _Text
    """What they say, as part of a reason: `names Python`."""
    weight: float
    """What finding one adds to the score; below zero, it speaks against."""
    words: list[_Term] = []
    """Words, or several in a row. One that is part of a longer finding does not count by itself."""
    patterns: list[_Term] = []
    """As words, but `*` stands for any one part, `word*` for a beginning, `...` for up to three parts or none, and
    `<group>` for each word of a group."""
    unless: list[_Text] = []
    """What other rules say: where one of these found something, this rule does not count."""
    most: Annotated[int, Meta(ge=1, le=100)] = 1
    """How many different findings count."""
    exact_case: bool = False
    """Whether capital letters must be as they are here."""
    typos_from: Annotated[int, Meta(ge=5, le=100)] | None = None
    """Letters from which on a word is found with one letter wrong, missing, added, or swapped with the next."""


class WordList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    title: _Text
    about: _Sentence = ""
    refusal: Annotated[str, Meta(min_length=1, max_length=2000)]
    otherwise: _Text = "nothing in it that this guard knows"
    """The reason where nothing is found."""
    threshold: float
    """The score from which on a prompt is accepted."""
    groups: Annotated[dict[_Term, Annotated[list[_Term], Meta(max_length=2000)]], Meta(max_length=50)] = {}
    """Single words under a name, for patterns."""
    rules: Annotated[list[Rule], Meta(min_length=1, max_length=200)]


class Finding(NamedTuple):
    """What one rule found in a prompt."""

    rule: Rule
    found: tuple[str, ...]
    """In order of appearance, each once."""

    @property
    def score(self) -> float:
        """What it adds."""
        return self.rule.weight * min(len(self.found), self.rule.most)

    def __str__(self) -> str:
        shown = ", ".join(f'"{text[:_LONGEST_SHOWN]}"' for text in self.found[:_SHOWN])
        return f"{self.rule.says} ({shown})"


class _Pattern(NamedTuple):
    rule: int
    parts: tuple[str, ...]


class WordListGuard:
    """A guard made from a WordList."""

    def __init__(self, name: str, words: WordList) -> None:
        """Raises ConfigError for a word or pattern that cannot be looked for."""
        self.name = name
        self.title = words.title
        self.words = words
        # By whether case counts: the rules of a row of words, and how long the rows are that begin with a word.
        self._rows: dict[bool, dict[tuple[str, ...], dict[int, None]]] = {True: {}, False: {}}
        self._lengths: dict[bool, dict[str, set[int]]] = {True: {}, False: {}}
        self._patterns: dict[bool, dict[str, list[_Pattern]]] = {True: {}, False: {}}
        self._beginnings: dict[bool, dict[str, list[_Pattern]]] = {True: {}, False: {}}
        self._misspelt: dict[str, set[int]] = {}
        """The rules by what a misspelt word may have in common with one of theirs."""
        if not math.isfinite(words.threshold):
            raise ConfigError("threshold", f"{words.threshold} is no threshold; give a number")
        if sum(len(rule.words) + len(rule.patterns) for rule in words.rules) > MOST_TERMS:
            raise ConfigError("rules", f"hold more than {MOST_TERMS:,} words and patterns")
        self._groups = {
            name.casefold(): frozenset(word.casefold() for word in group) for name, group in words.groups.items()
        }
        for number, rule in enumerate(words.rules):
            self._add(number, rule)

    # ---- verdicts

    def check(self, prompt: str) -> Verdict:
        """Accepted where the rules that found something weigh as much as the threshold."""
        findings = self.findings(prompt)
        accepted = self.score(findings) >= self.words.threshold
        reason = self._reason(findings, accepted=accepted)
        return Verdict(accepted=accepted, reason=reason, refusal="" if accepted else self.words.refusal)

    def findings(self, prompt: str) -> list[Finding]:
        """What each rule found; rules that found nothing are left out."""
        tokens = _tokens(prompt)
        folded = [token.casefold() for token in tokens]
        found: dict[int, dict[str, None]] = {}
        self._find_words(tokens, folded, found)
        for exact, parts in ((True, tokens), (False, folded)):
            for number, text in self._find_patterns(parts, exact=exact):
                found.setdefault(number, {})[text] = None
        findings = [Finding(self.words.rules[number], tuple(found[number])) for number in sorted(found)]
        said = {finding.rule.says for finding in findings}
        return [finding for finding in findings if said.isdisjoint(finding.rule.unless)]

    @staticmethod
    def score(findings: list[Finding]) -> float:
        """What they weigh together."""
        return sum(finding.score for finding in findings)

    def _reason(self, findings: list[Finding], *, accepted: bool) -> str:
        speaking = sorted((f for f in findings if f.score and (f.score > 0) == accepted), key=lambda f: -abs(f.score))
        if speaking:
            return "; ".join(map(str, speaking[:2]))
        if not findings:
            return self.words.otherwise
        best = max(findings, key=lambda finding: abs(finding.score))
        return f"not enough for it: {best}" if not accepted else f"not enough against it: {best}"

    # ---- what is looked for

    def _add(self, number: int, rule: Rule) -> None:
        if not math.isfinite(rule.weight):
            raise ConfigError(f"rules[{number}].weight", f"{rule.weight} is no weight; give a number")
        if not rule.words and not rule.patterns:
            raise ConfigError(f"rules[{number}]", "has neither words nor patterns")
        if unknown := set(rule.unless) - {other.says for other in self.words.rules}:
            raise ConfigError(f"rules[{number}].unless", f"{min(unknown)!r} is what no rule says")
        for term in rule.words:
            parts = self._parts(number, rule, term, _TOKEN)
            self._rows[rule.exact_case].setdefault(parts, {})[number] = None
            self._lengths[rule.exact_case].setdefault(parts[0], set()).add(len(parts))
            if len(parts) == 1 and rule.typos_from and len(parts[0]) >= rule.typos_from and not rule.exact_case:
                for form in _neighbours(parts[0]):
                    self._misspelt.setdefault(form, set()).add(number)
        for term in rule.patterns:
            self._add_pattern(number, rule, term)

    def _add_pattern(self, number: int, rule: Rule, term: str) -> None:
        parts = self._parts(number, rule, term, _PATTERN_TOKEN)
        for part in parts:
            if len(part) > 2 and part[0] == "<" and self._group(part) is None:
                raise ConfigError(f"rules[{number}].patterns", f"{term!r} names a group {part} that is not there")
        if parts[0] in ("*", "...") or parts[-1] == "...":
            raise ConfigError(
                f"rules[{number}].patterns", f"{term!r} must begin with a word or a sign, and not end with ..."
            )
        pattern = _Pattern(number, parts)
        if (group := self._group(parts[0])) is not None:
            for word in group:
                self._patterns[rule.exact_case].setdefault(word, []).append(pattern)
        elif len(parts[0]) > 1 and parts[0].endswith("*"):
            self._beginnings[rule.exact_case].setdefault(parts[0][:-1], []).append(pattern)
        else:
            self._patterns[rule.exact_case].setdefault(parts[0], []).append(pattern)

    def _group(self, part: str) -> frozenset[str] | None:
        """The words of `<group>`; None for another part, or a group that is not there."""
        return self._groups.get(part[1:-1].casefold()) if len(part) > 2 and part[0] == "<" else None

    @staticmethod
    def _parts(number: int, rule: Rule, term: str, kind: re.Pattern[str]) -> tuple[str, ...]:
        text = unicodedata.normalize("NFKC", term)
        parts = tuple(kind.findall(text if rule.exact_case else text.casefold()))
        if not 0 < len(parts) <= LONGEST_TERM:
            raise ConfigError(
                f"rules[{number}]", f"{term!r} has {len(parts)} words and signs, and 1 to {LONGEST_TERM} are possible"
            )
        return parts

    def _find_words(self, tokens: list[str], folded: list[str], found: dict[int, dict[str, None]]) -> None:
        """The longest rows of words first, each part of the prompt in one of them only."""
        hits = [
            (-length, at, exact)
            for exact, texts in ((True, tokens), (False, folded))
            for at, text in enumerate(texts)
            for length in self._lengths[exact].get(text, ())
            if tuple(texts[at : at + length]) in self._rows[exact]
        ]
        taken: dict[int, tuple[int, int]] = {}
        """By place, the row that has it: one with exact case and one without may have the same words."""
        kept = []
        for shorter, at, exact in sorted(hits):
            row, places = (shorter, at), range(at, at - shorter)
            if all(taken.get(place, row) == row for place in places):
                taken.update(dict.fromkeys(places, row))
                parts = tuple((tokens if exact else folded)[at : at - shorter])
                kept += [(at, number, " ".join(parts)) for number in self._rows[exact][parts]]
        unknown = {text: at for at, text in enumerate(folded) if at not in taken and text.isalpha()}
        for text, at in unknown.items():
            kept += [(at, number, text) for number in self._misspellings(text)]
        for _, number, text in sorted(kept):
            found.setdefault(number, {})[text] = None

    def _misspellings(self, token: str) -> set[int]:
        if not self._misspelt or not 3 < len(token) <= _LONGEST_SHOWN:
            return set()
        return set().union(*(self._misspelt.get(form, ()) for form in _neighbours(token)))

    def _find_patterns(self, texts: list[str], *, exact: bool) -> Iterator[tuple[int, str]]:
        whole, beginnings = self._patterns[exact], self._beginnings[exact]
        lengths = sorted({len(beginning) for beginning in beginnings})
        attempts = 0
        for at, text in enumerate(texts):
            begun = [beginnings.get(text[:length], ()) for length in lengths if length <= len(text)]
            for pattern in itertools.chain(whole.get(text, ()), *begun):
                attempts += 1
                if attempts > _MOST_ATTEMPTS:
                    return
                if (end := self._match(pattern.parts, texts, at)) is not None:
                    yield pattern.rule, " ".join(texts[at:end])

    def _match(self, parts: tuple[str, ...], texts: list[str], at: int) -> int | None:
        """Where a pattern that begins at `at` ends, or None. No place is tried twice for one part."""
        places = {at}
        for part in parts:
            if part == "...":
                places = {place + more for place in places for more in range(_GAP + 1)}
            else:
                places = {place + 1 for place in places if place < len(texts) and self._fits(part, texts[place])}
            if not places:
                return None
        return min(places)

    def _fits(self, part: str, text: str) -> bool:
        if part == "*":
            return True
        if (group := self._group(part)) is not None:
            return text in group
        return text.startswith(part[:-1]) if len(part) > 1 and part.endswith("*") else text == part


def load_word_list(path: Path, name: str) -> WordListGuard:
    """The guard in that file. Raises ConfigError, a sentence that names the file."""
    try:
        content = read_given(path, LARGEST_FILE)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from None
    tree = parse_toml(content, path)
    try:
        return WordListGuard(name, msgspec.convert(tree, WordList))
    except (msgspec.ValidationError, ConfigError) as error:
        raise ConfigError(str(path), f"is no guard: {error}") from None


def _tokens(prompt: str) -> list[str]:
    """Words and single signs, of the beginning and the end of a long prompt."""
    if len(prompt) > BEGINNING + END:
        prompt = f"{prompt[:BEGINNING]}\n{prompt[-END:]}"
    # One character may become eighteen.
    return _TOKEN.findall(unicodedata.normalize("NFKC", prompt)[: 2 * (BEGINNING + END)])


def _neighbours(word: str) -> set[str]:
    """The word, and the word without one of its letters: two words that share one differ by about a letter."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}
