"""A text with blanks in it: `{name}` is a blank, `{{` and `}}` are braces, and nothing else is read into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tui_gpt.core.errors import ConfigError

LONGEST_FILLED = 1_000_000
"""Characters of a filled text. No model looks back that far, and a short text may name a blank a thousand times."""

BLANK_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SIGN = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_SHOWN = 30


class Form(NamedTuple):
    """Texts and the names of the blanks between them: one more text than names."""

    texts: tuple[str, ...]
    names: tuple[str, ...]
    """In order of appearance; one may occur several times."""

    def fill(self, values: Mapping[str, str]) -> str:
        """The whole text; what a value holds is not read again. Raises ConfigError where it becomes too long."""
        given = [values[name] for name in self.names]
        length = sum(map(len, self.texts)) + sum(map(len, given))
        if length > LONGEST_FILLED:
            raise ConfigError("", f"becomes {length:,} characters long, and {LONGEST_FILLED:,} are the most")
        return "".join(part for pair in zip(self.texts, (*given, ""), strict=True) for part in pair)

    def with_text(self, name: str, text: str) -> Form:
        """The form in which `text` stands for one of the blanks."""
        texts, names = [self.texts[0]], []
        for blank, following in zip(self.names, self.texts[1:], strict=True):
            if blank == name:
                texts[-1] += text + following
            else:
                names.append(blank)
                texts.append(following)
        return Form(tuple(texts), tuple(names))

    def between(self, text: str) -> list[str] | None:
        """What stands where the blanks are, in a text that has this form; None for one that has not.

        Where a blank's text holds what follows the blank, there is more than one way to read it; the first is taken.
        """
        first, *middle = self.texts
        last = middle.pop() if middle else ""
        end = len(text) - len(last)
        if not text.startswith(first) or not text.endswith(last) or len(first) > end:
            return None
        at, found = len(first), []
        for part in middle:
            place = text.find(part, at, end)
            if place < 0:
                return None
            found.append(text[at:place])
            at = place + len(part)
        return [*found, text[at:end]]


def read_form(text: str, field: str) -> Form:
    """The form that a text describes. Raises ConfigError that names the field and the line."""
    texts, names, at = [""], list[str](), 0
    for sign in _SIGN.finditer(text):
        texts[-1] += text[at : sign.start()]
        at = sign.end()
        if sign[0] in ("{{", "}}"):
            texts[-1] += sign[0][0]
        elif sign[1] is not None and BLANK_NAME.fullmatch(sign[1]):
            names.append(sign[1])
            texts.append("")
        else:
            line = text.count("\n", 0, sign.start()) + 1
            raise ConfigError(
                field, f"line {line}: {_what_is_wrong(sign[0])}; write {{{{ and }}}} for braces themselves"
            )
    texts[-1] += text[at:]
    return Form(tuple(texts), tuple(names))


def _what_is_wrong(sign: str) -> str:
    if len(sign) == 1:
        return f"a single {sign} belongs to no blank"
    shown = sign if len(sign) <= _SHOWN else f"{sign[: _SHOWN - 3]}..."
    return f"{shown} is no blank, which is a name of small letters, digits and _ between braces"
