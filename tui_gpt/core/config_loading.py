"""From presets, TOML files and `--set` to a checked RunConfig: one sentence with the field's path for what is wrong."""

from __future__ import annotations

import difflib
import functools
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from tui_gpt.core.config import SECTIONS, ModelConfig, Problem, RunConfig, Section, problems
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text

S = TypeVar("S", bound=msgspec.Struct)
Tree = dict[str, Any]

_LARGEST_FILE = 1 << 20


class FieldDoc(msgspec.Struct, frozen=True):
    """What a form, a help text or a completion needs to know about one field."""

    path: str
    type: str
    """`integer`, `number`, `text`, `yes/no`, `list of text` or `choice`."""
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False

    @property
    def bounds(self) -> str:
        """The bounds in words, empty where there are none."""
        if self.minimum is None and self.maximum is None:
            return ""
        low = "" if self.minimum is None else f"{self.minimum:g}"
        high = "" if self.maximum is None else f"{self.maximum:g}"
        return f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"


_TYPE_NAMES = {int: "integer", float: "number", str: "text", bool: "yes/no"}


def field_docs(section: type[Section] | None = None) -> list[FieldDoc]:
    """Every field of one section, or of all of them, in the order of definition."""
    return [doc for doc in _all_field_docs() if section in (None, SECTIONS[doc.path.partition(".")[0]])]


@functools.cache
def _all_field_docs() -> tuple[FieldDoc, ...]:
    return tuple(
        _field_doc(name, cls, field, hint)
        for name, cls in SECTIONS.items()
        for field, hint in zip(
            msgspec.structs.fields(cls), get_type_hints(cls, include_extras=True).values(), strict=True
        )
    )


def _field_doc(section: str, cls: type[Section], field: msgspec.structs.FieldInfo, hint: Any) -> FieldDoc:
    metas: list[msgspec.Meta] = []
    optional = False
    while True:
        arguments = get_args(hint)
        if hasattr(hint, "__metadata__"):
            metas += [m for m in hint.__metadata__ if isinstance(m, msgspec.Meta)]
            hint = arguments[0]
        elif type(None) in arguments:
            optional = True
            hint = next(a for a in arguments if a is not type(None))
        else:
            break
    choices = tuple(get_args(hint)) if get_origin(hint) is Literal else ()

    def first(*names: str) -> Any:
        return next((v for m in metas for n in names if (v := getattr(m, n)) is not None), None)

    numeric = hint in (int, float)
    return FieldDoc(
        path=f"{section}.{field.name}",
        type="choice" if choices else "list of text" if get_origin(hint) is tuple else _TYPE_NAMES[hint],
        default=field.default,
        description=first("description") or "",
        choices=choices,
        minimum=first("ge", "gt") if numeric else None,
        maximum=first("le", "lt") if numeric else None,
        optional=optional,
    )


def build_config(*layers: tuple[str, Mapping[str, Any]]) -> RunConfig:
    """Merge `(source, tree)` layers, later ones winning, and check the result.

    Raises ConfigError with the first problem found.
    """
    merged: Tree = {}
    for source, tree in layers:
        try:
            _overlay(merged, tree)
        except RecursionError:
            raise ConfigError(source, "is nested too deeply; a section holds fields and no further sections") from None
    config = convert(merged, RunConfig)
    _require_unicode(merged)
    first = next(iter(problems(config)), None)
    if first is not None:
        raise ConfigError(first.path, first.message)
    return config


def all_problems(tree: Mapping[str, Any]) -> list[Problem]:
    """Every problem of a configuration tree, for a form that marks each field where it stands."""
    found: list[Problem] = []
    tree = {k: dict(v) if isinstance(v, Mapping) else v for k, v in tree.items()}
    while True:
        try:
            config = convert(tree, RunConfig)
        except ConfigError as error:
            found.append(Problem(error.path, error.message))
            section, _, name = error.path.partition(".")
            if not (name and isinstance(tree.get(section), dict) and tree[section].pop(name, _MISSING) is not _MISSING):
                return found
        else:
            known = {p.path for p in found}
            return found + [p for p in problems(config) if p.path not in known]


_MISSING = object()


def _overlay(base: Tree, over: Mapping[str, Any]) -> None:
    ends = ("max_steps", "max_epochs", "max_minutes")
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.setdefault(key, {}), dict):
            # A later layer that says when to end replaces an earlier layer's way of ending.
            if key == "train" and any(value.get(end) is not None for end in ends):
                for end in ends:
                    base[key].pop(end, None)
            _overlay(base[key], value)
        else:
            base[key] = value


def convert(tree: Mapping[str, Any], cls: type[S], path: str = "") -> S:
    """`tree` as a `cls`, strictly. Raises ConfigError whose path starts with `path`."""
    try:
        result = msgspec.convert(tree, cls)
    except UnicodeEncodeError:
        _require_unicode(tree, path)
        raise
    except msgspec.ValidationError as error:
        raise _as_config_error(str(error), tree, cls, path) from None
    for name, value in _numbers(tree, path):
        if not math.isfinite(value):
            raise ConfigError(name, f"is {value}, which is not a finite number")
    return result


def _require_unicode(tree: Any, path: str = "") -> None:
    """Raise ConfigError for text that no file could hold: a command line may be any bytes."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            _require_unicode(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list | tuple):
        for value in tree:
            _require_unicode(value, path)
    elif isinstance(tree, str):
        try:
            tree.encode("utf-8")
        except UnicodeEncodeError:
            raise ConfigError(path, f"the text {_shown(tree)} is not valid Unicode; retype it") from None


def _numbers(tree: Any, path: str) -> Iterable[tuple[str, float]]:
    if isinstance(tree, float):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _numbers(value, f"{path}.{key}" if path else str(key))


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _as_config_error(text: str, tree: Any, cls: type[msgspec.Struct], prefix: str) -> ConfigError:
    message, _, where = text.partition(" - at `$")
    steps = re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", where)
    names = [name or index for name, index in steps]
    unknown = re.search(r"contains unknown field `(.*)`", message)
    if unknown:
        path = ".".join(filter(None, [prefix, *names, unknown[1]]))
        for name in names:
            cls = get_type_hints(cls)[name]
        close = difflib.get_close_matches(unknown[1], cls.__struct_fields__, n=1)
        advice = f"did you mean {close[0]}?" if close else f"known here: {', '.join(cls.__struct_fields__)}"
        return ConfigError(path, f"is not a field of the configuration; {advice}")
    value = tree
    for name in names:
        value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    path = ".".join(filter(None, [prefix, *names]))
    for word, plain in _WORDS.items():
        message = message.replace(f"`{word} | null`", plain).replace(f"`{word}`", plain)
    enum = re.match(r"Invalid enum value", message)
    if enum:
        docs = {d.path: d for d in field_docs()}
        known = docs[path].choices if path in docs else ()
        return ConfigError(path, f"{_shown(value)} is not one of {', '.join(known)}" if known else message)
    message = message.replace("Expected", "expected", 1).replace(", got ", " but got ")
    message = re.sub(r"(a whole number|a number) (>=|>|<=|<) ([-+.\de]+)", _bound, message)
    shown = f", not {value!r}" if value is not _MISSING and " but got " not in message else ""
    return ConfigError(path or "configuration", message + (shown if len(shown) < 80 else ""))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _bound(match: re.Match[str]) -> str:
    words = {">=": "of at least", ">": "above", "<=": "of at most", "<": "below"}
    return f"{match[1]} {words[match[2]]} {float(match[3]):.12g}"


def read_toml(path: Path) -> Tree:
    """The tree in a TOML file. Raises ConfigError that names the file, and the line where the parser knows it."""
    try:
        with path.open("rb") as handle:
            content = handle.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ConfigError(str(path), f"is no configuration: it has more than {_LARGEST_FILE >> 20} MB")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    return parse_toml(content, path)


def parse_toml(content: bytes, path: Path) -> Tree:
    """The tree in a TOML file's content. Raises ConfigError that names the file, and the line where it is known."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(str(path), "is not valid TOML: it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text, as TOML files are") from None
    except ValueError:  # Python reads no number of more than 4300 digits
        raise ConfigError(str(path), "is not valid TOML: it holds a number that is too long") from None


def parse_setting(text: str) -> Tree:
    """`section.field=value` as a tree. The value is read by the field's own type; `none` empties an optional field."""
    path, equals, raw = text.partition("=")
    path, raw = path.strip(), raw.strip()
    section, _, name = path.partition(".")
    if not equals or not name:
        raise ConfigError("--set", f"{text!r} is not of the form section.field=value, e.g. train.learning_rate=1e-3")
    docs = {d.path: d for d in field_docs()}
    if path not in docs:
        close = difflib.get_close_matches(path, docs, n=1)
        raise ConfigError(
            path, "is not a field of the configuration" + (f"; did you mean {close[0]}?" if close else "")
        )
    return {section: {name: parse_value(docs[path], raw)}}


def parse_value(doc: FieldDoc, raw: str) -> Any:
    """What a person typed into the field, as a value of the field's type. Raises ConfigError."""
    if doc.optional and raw.lower() in ("", "none", "null"):
        return None
    try:
        match doc.type:
            case "integer":
                return int(raw.replace("_", "")) if not re.search(r"[.eE]", raw) else _whole(float(raw))
            case "number":
                return float(raw)
            case "yes/no":
                return {
                    "true": True,
                    "yes": True,
                    "on": True,
                    "1": True,
                    "false": False,
                    "no": False,
                    "off": False,
                    "0": False,
                }[raw.lower()]
            case "list of text":
                parsed = tomllib.loads(f"x = {raw}")["x"] if raw.startswith("[") else [raw] if raw else []
                return list(parsed)
            case _:
                return raw
    except (ValueError, KeyError, OverflowError, RecursionError):
        kinds = {"integer": "a whole number", "number": "a number", "yes/no": "true or false", "list of text": "a list"}
        raise ConfigError(doc.path, f"expected {kinds[doc.type]}, not {_shown(raw)}") from None


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError
    return int(number)


def to_toml(config: RunConfig, *, comments: bool = True) -> str:
    """The configuration as a TOML file that `read_toml` reads back to an equal one; each field with its explanation."""
    lines: list[str] = []
    docs = {d.path: d for d in field_docs()}
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for name, value in msgspec.to_builtins(getattr(config, section)).items():
            if comments:
                lines.append(f"# {docs[f'{section}.{name}'].description}")
            lines.append(f"# {name} =" if value is None else f"{name} = {_toml_value(value)}")
        lines.append("")
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, str):
        # JSON's string escapes are a subset of TOML's basic strings. What a terminal would obey is escaped as well.
        return "".join(map(_toml_character, msgspec.json.encode(value).decode()))
    return str(value)


def _toml_character(character: str) -> str:
    code = ord(character)
    return character if safe_text(character) == character else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def with_vocabulary(config: RunConfig, tokenizer_vocab_size: int) -> RunConfig:
    """The configuration with the vocabulary that the tokenizer has. Raises ConfigError when another was asked for."""
    asked = config.model.vocab_size
    if asked is not None and asked != tokenizer_vocab_size:
        raise ConfigError(
            "model.vocab_size",
            f"is {asked}, but the tokenizer made for this corpus has {tokenizer_vocab_size} tokens; leave the field "
            "out to take the tokenizer's",
        )
    model: ModelConfig = msgspec.structs.replace(config.model, vocab_size=tokenizer_vocab_size)
    return msgspec.structs.replace(config, model=model)
