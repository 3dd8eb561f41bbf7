"""A template's file: TOML, strictly read, and a sentence with the file, the field and what to do for what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.config_loading import convert, parse_toml
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.given_files import is_too_deep, read_given
from tui_gpt.core.templates.form import BLANK_NAME, LONGEST_FILLED, Form, read_form
from tui_gpt.core.templates.template import Blank, Template

LARGEST_FILE = 256 << 10
"""Bytes of a template's file."""
LONGEST_TEXT = 20_000
"""Characters of `text` and of `shot`."""
LONGEST_VALUE = 4_000
"""Characters of a default, and of a field of an example."""
MOST_BLANKS = 16
MOST_EXAMPLES = 64

EXAMPLES = "examples"
"""Where this stands in the text, the examples come."""
_FIELDS = ("title", "about", "text", "shot", EXAMPLES, "blanks", "sample")
_BLANK_FIELDS = ("about", "default", "example")
_DEEPEST = 4
_TITLE, _ABOUT, _BLANK_ABOUT = 120, 500, 200
_NOT_OURS = ("seed", "n_samples")
"""How often is written, and what is drawn, is another matter than what is asked."""
_KINDS = {bool: "yes or no", int: "a number", float: "a number", str: "text", list: "a list", dict: "a table"}


def load_template(path: Path, name: str) -> Template:
    """The template in that file. Raises ConfigError, a sentence that names the file."""
    try:
        content = read_given(path, LARGEST_FILE)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from None
    tree = parse_toml(content, path)
    try:
        return _template(tree, name)
    except ConfigError as error:
        raise ConfigError(str(path), f"is no template: {error}") from None


def _template(tree: dict[str, Any], name: str) -> Template:
    if is_too_deep(tree, _DEEPEST):
        raise ConfigError("", "tables and lists lie too deep within each other; a template has tables of texts")
    _refuse_unknown(tree, _FIELDS, "", "is no field of a template")
    title = _text(tree, "title", _TITLE)
    about = _text(tree, "about", _ABOUT, default="")
    form = read_form(_text(tree, "text", LONGEST_TEXT), "text")
    shots = _shots(tree)
    form = _with_shots(form, shots)
    blanks = _blanks(tree, form)
    return Template(name, title, about, form, blanks, len(shots), _sample(tree))


# ---- examples


def _shots(tree: dict[str, Any]) -> list[str]:
    """The examples, each as the text that `shot` makes of it."""
    examples = tree.get(EXAMPLES, [])
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise ConfigError(EXAMPLES, "must be tables, each begun by [[examples]]")
    if len(examples) > MOST_EXAMPLES:
        raise ConfigError(EXAMPLES, f"are {len(examples):,}, and {MOST_EXAMPLES} are the most; leave some out")
    if not examples:
        if "shot" in tree:
            raise ConfigError("shot", "has no examples to fill it; add [[examples]] or leave it out")
        return []
    if "shot" not in tree:
        raise ConfigError("shot", "is missing; it is the text of one example, with a blank for each of its fields")
    shot = read_form(_text(tree, "shot", LONGEST_TEXT), "shot")
    if not shot.names:
        raise ConfigError("shot", f"has no blank; name the fields of the examples in braces, e.g. {_braced(examples)}")
    shots, length = [], 0
    for number, example in enumerate(examples):
        shots.append(_shot(shot, example, f"{EXAMPLES}[{number}]"))
        length += len(shots[-1])
        if length > LONGEST_FILLED:
            raise ConfigError(EXAMPLES, f"become more than {LONGEST_FILLED:,} characters together; leave some out")
    return shots


def _braced(examples: list[dict[str, Any]]) -> str:
    return " ".join(f"{{{field[:40]}}}" for field in [*examples[0], "answer"][:2])


def _shot(shot: Form, example: dict[str, Any], where: str) -> str:
    fields = list(dict.fromkeys(shot.names))
    _refuse_unknown(example, fields, where, "does not occur in shot")
    try:
        return shot.fill({field: _text(example, field, LONGEST_VALUE, where, least=0) for field in fields})
    except ConfigError as error:
        raise ConfigError(error.path or where, error.message) from None


def _with_shots(form: Form, shots: list[str]) -> Form:
    places = form.names.count(EXAMPLES)
    if places > 1:
        raise ConfigError("text", f"has {{{EXAMPLES}}} {places} times; once is enough")
    if shots and not places:
        raise ConfigError("text", f"does not say where the examples come; write {{{EXAMPLES}}} there")
    if places and not shots:
        raise ConfigError("text", f"has {{{EXAMPLES}}}, and there are none; add [[examples]] or leave it out")
    return form.with_text(EXAMPLES, "".join(shots))


# ---- blanks


def _blanks(tree: dict[str, Any], form: Form) -> dict[str, Blank]:
    table = tree.get("blanks", {})
    if not isinstance(table, dict):
        raise ConfigError("blanks", f"is {_kind(table)}, and must be a table; begin each blank with [blanks.NAME]")
    if not form.names:
        raise ConfigError("text", "has no blank; name what is to be filled in between braces, e.g. {question}")
    used = dict.fromkeys(form.names)
    if len(used) > MOST_BLANKS:
        raise ConfigError("text", f"has {len(used):,} blanks, and {MOST_BLANKS} are the most")
    for name in used:
        if name not in table:
            raise ConfigError(f"blanks.{name}", f"is missing; say what belongs there: [blanks.{name}] about = ...")
    for name in table:
        if name == EXAMPLES or not BLANK_NAME.fullmatch(name):
            shown = (
                "is what the examples are called" if name == EXAMPLES else "is no name of small letters, digits and _"
            )
            raise ConfigError(f"blanks.{name[:80]}", f"{shown}; choose another")
        if name not in used:
            raise ConfigError(
                f"blanks.{name}", f"does not occur; write {{{name}}} into the text or leave the table out"
            )
    return {name: _blank(table[name], f"blanks.{name}") for name in used}


def _blank(table: Any, where: str) -> Blank:
    if not isinstance(table, dict):
        raise ConfigError(where, f"is {_kind(table)}, and must be a table: [{where}] about = ...")
    _refuse_unknown(table, _BLANK_FIELDS, where, "is no field of a blank")
    return Blank(
        about=_text(table, "about", _BLANK_ABOUT, where),
        default=_text(table, "default", LONGEST_VALUE, where, least=0) if "default" in table else None,
        example=_text(table, "example", LONGEST_VALUE, where, default=""),
    )


# ---- settings


def _sample(tree: dict[str, Any]) -> dict[str, Any]:
    """The fields that are given, as values of their own types."""
    table = tree.get("sample", {})
    if not isinstance(table, dict):
        raise ConfigError("sample", f"is {_kind(table)}, and must be a table: [sample] stop = ...")
    for name in _NOT_OURS:
        if name in table:
            raise ConfigError(f"sample.{name}", "is for the person to say who uses the template; leave it out")
    settings = convert(table, SampleConfig, "sample")
    return {name: getattr(settings, name) for name in table}


# ---- single fields


def _text(
    table: dict[str, Any], field: str, longest: int, where: str = "", *, least: int = 1, default: str | None = None
) -> str:
    path = f"{where}.{field}" if where else field
    bounds = f"text of {least or 'up'} to {longest:,} characters"
    if field not in table:
        if default is not None:
            return default
        raise ConfigError(path, f"is missing; give {bounds}")
    value = table[field]
    if not isinstance(value, str):
        raise ConfigError(path, f"is {_kind(value)}, and must be {bounds}")
    if not least <= len(value) <= longest:
        raise ConfigError(path, f"has {len(value):,} characters, and must be {bounds}")
    return value


def _refuse_unknown(table: Iterable[str], known: Collection[str], where: str, what: str) -> None:
    for field in table:
        if field not in known:
            path = ".".join(filter(None, [where, re.sub(r"\s", " ", field)[:80]]))
            close = difflib.get_close_matches(field[:80], known, n=1)
            advice = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise ConfigError(path, f"{what}; {advice}")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a date")
