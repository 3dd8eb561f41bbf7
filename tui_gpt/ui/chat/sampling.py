"""How text is drawn: every field of SampleConfig with its error beside it, and named presets."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, get_args

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import Input, Select, Static

from tui_gpt.core.config import SampleConfig, WritingPrecision, to_dict
from tui_gpt.core.config_loading import FieldDoc, convert, field_docs, parse_value
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.sampling_presets import PRESETS, preset_of
from tui_gpt.ui.dialogs.explanation import Explanation

MOST_SAMPLES = 8
"""More alternatives than this are more than a person compares."""
_LONGEST_GIVER = 64
OWN = "own"
EDITED = "edited"
_OWN_REASON = "As the run that made the model said."
_EDITED_REASON = "As it stands here."
# Another matter than how text is drawn.
_APART = ("seed", "n_samples")
_PRECISIONS: tuple[WritingPrecision, ...] = get_args(WritingPrecision)
_PRECISION_REASON = (
    "What the weights are kept in while text is written. bf16 and int8 have a half and a quarter of the bytes: faster "
    "on the CPU for a model of many millions, and a little less exact."
)
_ORDER = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "max_new_tokens",
    "stop",
    *_APART,
)


class _Given(NamedTuple):
    """What a template has said for a field."""

    text: str
    """As it was typed into the field."""
    before: str
    """What was typed there."""
    was_own: bool
    """Whether that was the model's own, so that another model's is to come back."""


class SampleField(Vertical):
    """A field: its name, what is typed, and what is wrong with that."""

    DEFAULT_CSS = """
    SampleField { height: auto; }
    SampleField > Horizontal { height: 1; }
    SampleField .name { width: 19; }
    SampleField Input { width: 1fr; }
    SampleField .problem { color: $text-error; height: auto; display: none; padding-left: 1; }
    SampleField.-wrong .problem { display: block; }
    SampleField.-given .name { color: $text-accent; }
    SampleField.-wrong .name { color: $text-error; text-style: bold; }
    """

    def __init__(self, doc: FieldDoc) -> None:
        self.doc = doc
        self.field = doc.path.partition(".")[2]
        self.problem = ""
        """What is wrong, in a sentence; empty when nothing is."""
        self.value: Any = doc.default
        super().__init__(id=f"sample-{self.field.replace('_', '-')}")

    def compose(self) -> ComposeResult:
        """Name and line, and room for a sentence."""
        with Horizontal():
            yield Static(Content(self.field), classes="name", markup=False)
            hint = "new each time" if self.field == "seed" else "none" if self.field == "stop" else ""
            line = Input(typed(self.doc.default), placeholder=hint, compact=True, select_on_focus=True)
            line.tooltip = Content(self.about)
            yield line
        yield Static("", classes="problem", markup=False)

    @property
    def about(self) -> str:
        """What the field means, and its bounds."""
        bounds = f"1 to {MOST_SAMPLES}" if self.field == "n_samples" else self.doc.bounds
        how = ' Several: ["one", "two"], with \\n for a line feed.' if self.field == "stop" else ""
        return f"{self.doc.description}{how}" + (f" ({bounds})" if bounds else "")

    @property
    def text(self) -> str:
        """What is typed."""
        return self.query_one(Input).value

    def set_text(self, text: str) -> None:
        """Type `text`."""
        line = self.query_one(Input)
        with self.prevent(Input.Changed):
            line.value = safe_text(text, newlines=False)
        self.check()

    def check(self) -> None:
        """Read what is typed, and say what is wrong with it."""
        try:
            self.value = self._read()
            self.problem = ""
        except ConfigError as error:
            self.problem = error.message
        self.set_class(bool(self.problem), "-wrong")
        self.query_one(".problem", Static).update(Content(safe_text(self.problem, newlines=False)))

    def _read(self) -> Any:
        raw = self.text.strip()
        if not raw and not self.doc.optional and self.doc.type != "list of text":
            raise ConfigError(self.doc.path, f"is empty; the default is {typed(self.doc.default)}")
        value = parse_value(self.doc, raw if self.field != "stop" or raw.startswith("[") else self.text)
        settings = convert({self.field: value}, SampleConfig, "sample")
        if self.field == "n_samples" and settings.n_samples > MOST_SAMPLES:
            raise ConfigError(self.doc.path, f"expected at most {MOST_SAMPLES} samples to choose from")
        return getattr(settings, self.field)

    def explain(self) -> Explanation:
        """The field's own documentation."""
        return Explanation(self.field, f"{self.about}\n\nDefault: {typed(self.doc.default) or 'none'}.")


def in_words(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def typed(value: Any) -> str:
    """A value as a person would type it."""
    match value:
        case None:
            return ""
        case tuple() | list():
            texts = [str(text) for text in value]
            if len(texts) == 1 and texts[0].isprintable() and texts[0].strip() and not texts[0].startswith("["):
                return texts[0]
            return json.dumps(texts, ensure_ascii=False) if texts else ""
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case _:
            return str(value)


class SamplingPanel(VerticalScroll):
    """All fields, and the presets above them."""

    DEFAULT_CSS = """
    SamplingPanel {
        width: 40;
        height: 1fr;
        padding: 0 1;
        border-left: solid $border-blurred;
        scrollbar-size-vertical: 1;
    }
    SamplingPanel > #preset { margin-bottom: 1; }
    SamplingPanel > #weights { height: 1; margin-top: 1; }
    SamplingPanel > #weights > .name { width: 19; }
    SamplingPanel > #weights > Select { width: 1fr; }
    SamplingPanel > .about { color: $text-muted; height: auto; margin-top: 1; }
    """

    def __init__(self) -> None:
        self.own = SampleConfig()
        """As the model's own run had them."""
        docs = {doc.path.partition(".")[2]: doc for doc in field_docs(SampleConfig)}
        self._fields = {name: SampleField(docs[name]) for name in sorted(docs, key=_place)}
        self._given: dict[str, _Given] = {}
        """What a template has said, by field."""
        self._giver = ""
        self._weights: Select[WritingPrecision] = Select(
            [(precision, precision) for precision in _PRECISIONS], allow_blank=False, compact=True, id="precision"
        )
        self._weights.tooltip = Content(_PRECISION_REASON)
        super().__init__(can_focus=False)

    def compose(self) -> ComposeResult:
        """Presets, fields, and a sentence about what has the focus."""
        names = [(OWN, "the model's own")] + [(preset.name, preset.name) for preset in PRESETS] + [(EDITED, EDITED)]
        options = [(Content(label), name) for name, label in names]
        yield Select(options, value=OWN, allow_blank=False, compact=True, id="preset")
        yield from self._fields.values()
        with Horizontal(id="weights"):
            yield Static("weights", classes="name", markup=False)
            yield self._weights
        yield Static(Content(_OWN_REASON), classes="about", markup=False)

    # ---- values

    @property
    def settings(self) -> SampleConfig | None:
        """What is typed; None while something is wrong with it."""
        if self.problem:
            return None
        return SampleConfig(**{name: field.value for name, field in self._fields.items()})

    @property
    def problem(self) -> str:
        """What is wrong first, in a sentence with the field's name."""
        return next((f"{name} {field.problem}" for name, field in self._fields.items() if field.problem), "")

    @property
    def preset(self) -> str:
        """The name of the preset that is chosen, `own` or `edited`."""
        return str(self.query_one("#preset", Select).value)

    @property
    def precision(self) -> WritingPrecision:
        """What the weights are kept in while text is written."""
        return self._weights.selection or "float32"

    def field(self, name: str) -> SampleField:
        """One of the fields."""
        return self._fields[name]

    def set_value(self, name: str, value: Any) -> None:
        """Change one field, as if it were typed."""
        self._fields[name].set_text(typed(value))
        self._edited(name)

    def take_own(self, own: SampleConfig) -> None:
        """Another model: its own settings, unless a person has chosen others."""
        if not self.query("#preset"):
            return  # the app is on its way out, and its parts go before those that wait for an answer
        before = to_dict(self.own)
        self.own = msgspec.structs.replace(own, n_samples=min(own.n_samples, MOST_SAMPLES))
        changed = {name for name, field in self._fields.items() if field.text != typed(before[name])}
        said = {name for name, given in self._given.items() if given.was_own and name in changed}
        if self.preset == OWN or (said and changed <= {*said, *_APART}):
            # What is no part of how text is drawn may have been typed while the model was on its way.
            self._fill(self.own, leave=changed & {*said, *_APART})

    def take_given(self, giver: str, values: Mapping[str, Any]) -> None:
        """A template's settings, in place of those of another one: they can be seen, changed and taken back."""
        self.give_back()
        self._giver = giver
        self._given = {
            name: _Given(typed(value), self._fields[name].text, was_own=self.preset == OWN)
            for name, value in values.items()
        }
        self._type({name: given.text for name, given in self._given.items()})

    def give_back(self) -> list[str]:
        """What a template has said, and nobody has changed since, is as it was before; returns these fields."""
        given, self._given, self._giver = self._given, {}, ""
        still = {name: one for name, one in given.items() if self._fields[name].text == one.text}
        own = to_dict(self.own)
        self._type({name: typed(own[name]) if one.was_own else one.before for name, one in still.items()})
        return list(still)

    def _type(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self._fields[name].set_text(text)
        for name in texts:
            self._edited(name)
        self._mark_given()
        self._say_reason()

    def remember(self) -> dict[str, Any]:
        """What to find again, as JSON."""
        return {
            "preset": self.preset,
            "fields": {name: field.text for name, field in self._fields.items()},
            "giver": self._giver,
            "given": {name: list(given) for name, given in self._given.items()},
            "precision": self.precision,
        }

    def recall(self, remembered: object) -> None:
        """Take that up, whatever it is."""
        if not isinstance(remembered, dict) or not isinstance(fields := remembered.get("fields"), dict):
            return
        for name, field in self._fields.items():
            if isinstance(text := fields.get(name), str):
                field.set_text(text[:2000])
        self._recall_given(remembered.get("giver"), remembered.get("given"))
        if (precision := remembered.get("precision")) in _PRECISIONS:
            self._weights.value = precision
        known = {OWN, EDITED, *(preset.name for preset in PRESETS)}
        self._show_preset(preset if (preset := remembered.get("preset")) in known else EDITED)

    def _recall_given(self, giver: object, given: object) -> None:
        if isinstance(giver, str) and giver and isinstance(given, dict):
            self._giver = giver[:_LONGEST_GIVER]
            for name, parts in given.items():
                if name in self._fields:
                    with suppress(msgspec.ValidationError):
                        self._given[name] = msgspec.convert(parts, _Given)
        self._mark_given()

    def focus_first(self) -> None:
        """Give the focus to the first field."""
        self._fields[_ORDER[0]].query_one(Input).focus()

    # ---- events

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        field = event.input.query_ancestor(SampleField)
        field.check()
        self._edited(field.field)

    @on(Select.Changed, "#preset")
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        chosen = str(event.value)
        base = self.settings or self.own
        if chosen == OWN:
            self._fill(self.own)
        elif preset := next((preset for preset in PRESETS if preset.name == chosen), None):
            self._fill(preset.applied(base))
        self._say_reason()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Say what the field means while it has the focus."""
        field = next((node for node in event.widget.ancestors if isinstance(node, SampleField)), None)
        if field is not None:
            self.query_one(".about", Static).update(Content(field.about))
        elif event.widget is self._weights:
            self.query_one(".about", Static).update(Content(_PRECISION_REASON))
        else:
            self._say_reason()

    def on_descendant_blur(self) -> None:
        """Back to what is chosen."""
        self.call_after_refresh(self._say_reason)

    # ---- within

    def _fill(self, settings: SampleConfig, *, leave: Collection[str] = ()) -> None:
        for name, value in to_dict(settings).items():
            if name not in leave:
                self._fields[name].set_text(typed(value))
        self._mark_given()

    def _mark_given(self) -> None:
        for name, field in self._fields.items():
            field.set_class(name in self._given and field.text == self._given[name].text, "-given")

    def _edited(self, name: str) -> None:
        self._mark_given()
        settings = self.settings
        if name not in _APART:
            preset = preset_of(settings) if settings else None
            own = settings is not None and _alike(settings, self.own)
            self._show_preset(OWN if own else preset.name if preset else EDITED)

    def _show_preset(self, name: str) -> None:
        select = self.query_one("#preset", Select)
        if select.value != name:
            with self.prevent(Select.Changed):
                select.value = name
            self._say_reason()

    def _say_reason(self) -> None:
        if any(field.has_focus_within for field in self._fields.values()) or self._weights.has_focus:
            return
        reasons = {OWN: _OWN_REASON, EDITED: _EDITED_REASON, **{preset.name: preset.reason for preset in PRESETS}}
        reason = reasons.get(self.preset, "")
        if marked := [name for name, field in self._fields.items() if field.has_class("-given")]:
            verb, pronoun = ("is", "it") if len(marked) == 1 else ("are", "them")
            whose = safe_text(self._giver, newlines=False)
            reason += f"\n\n{in_words(marked)} {verb} as the template {whose} has {pronoun}."
        self.query_one(".about", Static).update(Content(reason))

    def explain(self) -> Explanation:
        """What the presets are."""
        lines = [f"{preset.name}: {preset.reason}" for preset in PRESETS]
        return Explanation("How text is drawn", "\n".join([f"the model's own: {_OWN_REASON}", *lines]))


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _alike(one: SampleConfig, other: SampleConfig) -> bool:
    """Whether they draw the same way, with whichever seed."""
    return msgspec.structs.replace(one, seed=None, n_samples=1) == msgspec.structs.replace(
        other, seed=None, n_samples=1
    )
