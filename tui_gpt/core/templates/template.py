"""What a template is, and filling its blanks."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.templates.form import Form


class Blank(NamedTuple):
    """A blank, as its template explains it. Foreign text."""

    about: str
    """What belongs there."""
    default: str | None = None
    """What stands there unless something else is said. None: it is open, and something must be."""
    example: str = ""
    """What could stand there."""


class Filled(NamedTuple):
    """A prompt that was made from a template."""

    text: str
    """What the model reads."""
    values: dict[str, str]
    """What stands in each blank, in order of appearance."""
    said: str
    """What a guard looks at: what was filled in, and nothing of the template's own text."""


class Template:
    """A prompt with blanks. All its text is foreign."""

    def __init__(
        self,
        name: str,
        title: str,
        about: str,
        form: Form,
        blanks: Mapping[str, Blank],
        n_examples: int,
        sample: Mapping[str, Any],
    ) -> None:
        """`blanks` explains each name of the form; `sample` has checked fields of SampleConfig."""
        self.name = name
        self.title = title
        """What it is, in a few words."""
        self.about = about
        """What it is for."""
        self.blanks = {blank: blanks[blank] for blank in dict.fromkeys(form.names)}
        """In order of appearance."""
        self.n_examples = n_examples
        self.sample = dict(sample)
        """Settings that belong to it, unless a person says otherwise."""
        self._form = form

    @property
    def kind(self) -> str:
        """`zero-shot`, `one-shot` or `few-shot`: how many examples the model sees first."""
        return ("zero-shot", "one-shot", "few-shot")[min(self.n_examples, 2)]

    def open_blanks(self, given: Collection[str] = ()) -> list[str]:
        """The blanks without a default that are not among those given."""
        return [name for name, blank in self.blanks.items() if blank.default is None and name not in given]

    def check_names(self, given: Collection[str]) -> None:
        """Raise ConfigError where one of the names is no blank."""
        if unknown := [name for name in given if name not in self.blanks]:
            known = ", ".join(self.blanks)
            raise ConfigError(f"template {self.name}", f"has no blank {unknown[0][:80]!r}; its blanks are {known}")

    def missing(self, values: Mapping[str, str]) -> list[str]:
        """The blanks that these values leave empty and that have no default. One with a default may be emptied."""
        return [name for name in self.open_blanks() if not values.get(name, "").strip()]

    def fill(self, values: Mapping[str, str]) -> Filled:
        """The prompt with these values, and the defaults of what is left out.

        Raises ConfigError for a name that is no blank, an open blank without text, and a prompt that becomes too long.
        """
        self.check_names(values)
        if missing := self.missing(values):
            each = " and ".join(f"{name} ({self.blanks[name].about})" for name in missing)
            raise ConfigError(f"template {self.name}", f"has nothing in its blank{'s' * (len(missing) > 1)} {each}")
        return self._filled(values)

    def preview(self, values: Mapping[str, str]) -> Filled:
        """As `fill`, with `‹name›` where something is still missing. Raises ConfigError where it becomes too long."""
        return self._filled({**values, **{name: f"‹{name}›" for name in self.missing(values)}})

    def example(self) -> Filled:
        """The prompt with the examples that the open blanks have. Raises ConfigError where it becomes too long."""
        return self.preview({name: self.blanks[name].example for name in self.open_blanks()})

    def _filled(self, values: Mapping[str, str]) -> Filled:
        whole = {name: values.get(name, blank.default or "") for name, blank in self.blanks.items()}
        try:
            return Filled(self._form.fill(whole), whole, self._said(whole.items()))
        except ConfigError as error:
            raise ConfigError(f"template {self.name}", error.message) from None

    # ---- what became of it on the screen

    def read_back(self, text: str) -> dict[str, str] | None:
        """What stands in the blanks of a prompt that a person may have edited on the screen since it was filled.

        None where the template's own text is no longer around it.
        """
        found = self._form_on_screen.between(text)
        if found is None:
            return None
        values: dict[str, str] = {}
        for name, value in zip(self._form.names, found, strict=True):
            if values.setdefault(name, value) != value:
                return None
        return values

    def said_in(self, text: str) -> str:
        """What a guard looks at in such a prompt: what was filled in; all of it where it lacks the template's form."""
        found = self._form_on_screen.between(text)
        return text if found is None else self._said(zip(self._form.names, found, strict=True))

    def _said(self, values: Iterable[tuple[str, str]]) -> str:
        """What was filled in, each on a line. A default that was left counts where nothing else does."""
        written = [(name, value) for name, value in values if value.strip()]
        own = [value for name, value in written if not self._is_default(name, value)]
        return "\n".join(dict.fromkeys(own or (value for _, value in written)))

    def _is_default(self, name: str, value: str) -> bool:
        default = self.blanks[name].default
        return default is not None and value in (default, safe_text(default))

    @cached_property
    def _form_on_screen(self) -> Form:
        return Form(tuple(safe_text(text) for text in self._form.texts), self._form.names)

    # ---- settings

    def applied(self, settings: SampleConfig) -> SampleConfig:
        """`settings` with the template's own; what it does not speak of stays."""
        return msgspec.structs.replace(settings, **self.sample)

    def settings_in_words(self, but: Collection[str] = ()) -> str:
        """`max_new_tokens = 40, stop = ["\\nQ:"]`, without some fields; empty where it has none. Foreign text."""
        told = {name: value for name, value in self.sample.items() if name not in but}
        return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in told.items())
