"""The form without a screen: what is typed into each field, what is wrong with it, and the configuration it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tui_gpt.core.config import SECTIONS, ModelConfig, RunConfig, to_dict
from tui_gpt.core.config_loading import all_problems, build_config, convert
from tui_gpt.core.corpus_shares import MIX
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.names import check_name
from tui_gpt.core.presets import FINE_TUNING, PRESETS, preset_config
from tui_gpt.ui.configure.groups import ENDS, form_docs
from tui_gpt.ui.configure.typed_text import parsed, typed

DEFAULT_PRESET = "quick"
CORPUS = "data.corpus"
NAME = "name"
_OWN = (NAME, CORPUS)
"""Fields that a preset leaves as they are, and that count as no change of it."""
_MOST_UNDONE = 50


class Origin(NamedTuple):
    """The model that a run continues from."""

    name: str
    shape_known: bool
    """Whether the form shows its shape; that of a model from elsewhere is read when the run begins."""


class _Moment(NamedTuple):
    preset: str
    texts: dict[str, str]
    origin: Origin | None


class FormState:
    """Texts by field path, over a preset."""

    def __init__(self, name_taken: Callable[[str], bool] = lambda name: False) -> None:
        self.docs = form_docs()
        self.preset = DEFAULT_PRESET
        self.base = texts_of(preset_config(DEFAULT_PRESET))
        """What the preset has in each field."""
        self.texts = dict(self.base)
        self.origin: Origin | None = None
        self._name_taken = name_taken
        self._former: list[_Moment] = []
        self._of_its_text: dict[str, str] = {}
        """How the text of the model that is continued was read, while the form has that text."""

    # ---- changing

    def set(self, path: str, text: str) -> set[str]:
        """Type into a field; returns the fields whose text changed, as one way to end a run empties the others."""
        if self.texts[path] == text:
            return set()
        self.texts[path] = text
        changed = {path}
        if path in ENDS and text.strip():
            for other in ENDS:
                if other != path and self.texts[other]:
                    self.texts[other] = ""
                    changed.add(other)
        return changed

    def choose_preset(self, name: str) -> None:
        """Begin again from a preset; the name, the corpus and what is mixed into it stay.

        `undo` brings the former form back. Raises ConfigError.
        """
        self.keep()
        self._rebase(name)
        kept = {*_OWN, MIX, *self.locked()}
        self.texts.update({path: text for path, text in self.base.items() if path not in kept})

    def take_plan(self, tree: Mapping[str, Mapping[str, Any]]) -> None:
        """Begin again from the default preset with these values over it; the text's section stays as it is.

        `undo` brings the former form back. Raises ConfigError.
        """
        planned = texts_of(build_config(("preset", PRESETS[DEFAULT_PRESET].tree), ("plan", tree)))
        self.keep()
        self._rebase(DEFAULT_PRESET)
        kept = {NAME, *self.locked()}
        self.texts.update({path: text for path, text in planned.items() if path not in kept and path[:5] != "data."})

    def take(self, config: RunConfig) -> None:
        """Take over every field of a configuration, which `undo` takes back."""
        self.keep()
        self.texts.update({path: text for path, text in texts_of(config).items() if path != NAME})

    def continue_from(self, name: str, known: Mapping[str, Mapping[str, Any]] | None) -> None:
        """Continue from a model, with what is known of its configuration's sections `model` and `data`, or None.

        The text stays the one of the form where the model's own is not known. Raises ConfigError.
        """
        own = convert({s: dict(known[s]) for s in ("model", "data") if s in known}, RunConfig) if known else None
        self.keep()
        self.origin = Origin(name, own is not None)
        if own is not None:
            dropout = self.texts["model.dropout"]
            texts = texts_of(own)
            self.texts.update({path: texts[path] for path in texts if path.startswith(("model.", "data."))})
            self._of_its_text = {path: text for path, text in texts.items() if path.startswith("data.")}
            self.texts["model.dropout"] = dropout
        else:
            self._exchange(self.base, _fine_tuning())

    def for_another_text(self) -> dict[str, str]:
        """What is to be said of a text in place of what was known of the one that the model continued has read."""
        known, self._of_its_text = self._of_its_text, {}
        return {
            path: self.base[path]
            for path, text in known.items()
            if path not in (CORPUS, MIX, *self.locked()) and self.texts[path] == text != self.base[path]
        }

    def drop_origin(self) -> None:
        """Begin from random weights after all, with the shape that the form shows."""
        self.origin = None
        self._exchange(_fine_tuning(), self.base)

    def _exchange(self, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Put what is `new` of the fields of fine-tuning where the `old` stands; what a person has changed stays."""
        for path in (f"train.{field}" for field in FINE_TUNING["train"]):
            if self.texts[path] == old[path]:
                self.texts[path] = new[path]

    def keep(self) -> None:
        """Remember the form as it is, for `undo`."""
        self._former = [*self._former[1 - _MOST_UNDONE :], self._moment()]

    @property
    def can_undo(self) -> bool:
        """Whether there is a former form."""
        return any(moment != self._moment() for moment in self._former)

    def _moment(self) -> _Moment:
        return _Moment(self.preset, dict(self.texts), self.origin)

    def undo(self) -> bool:
        """Bring back the form as it was before the last preset, file or plan; False where there is none."""
        while self._former:
            moment = self._former.pop()
            if moment != self._moment():
                self._rebase(moment.preset)
                self.texts = dict(moment.texts)
                self.origin = moment.origin
                return True
        return False

    def restore(self, preset: str, changed: Mapping[str, str]) -> None:
        """Take up a remembered form; what is no longer a preset or a field is passed over."""
        self._rebase(preset if preset in PRESETS else DEFAULT_PRESET)
        self.texts = {**self.base, **{path: text for path, text in changed.items() if path in self.base}}

    def _rebase(self, preset: str) -> None:
        self.base = texts_of(preset_config(preset))
        self.preset = preset

    # ---- reading

    def changed(self) -> dict[str, str]:
        """The fields that differ from the preset, with their texts; corpus and name are everybody's own."""
        return {p: t for p, t in self.texts.items() if t != self.base[p] and p not in _OWN}

    def locked(self) -> frozenset[str]:
        """The fields that cannot be changed, because the model to continue from decides them."""
        if self.origin is None:
            return frozenset()
        shape = {f"model.{field}" for field in ModelConfig.__struct_fields__ if field != "dropout"}
        return frozenset({*shape, "data.tokenizer", "data.bpe_vocab_size", "train.zero_init_projections"})

    def problems(self) -> dict[str, str]:
        """What is wrong, by field: a sentence without the field's name. Empty when the form can be started."""
        tree, found = self._tree()
        for problem in all_problems(tree):
            found.setdefault(problem.path, problem.message)
        if self.origin is None and tree["train"]["lora_rank"]:
            found.setdefault("train.lora_rank", "needs a model to begin from: choose one in Models, or leave it at 0")
        if (name := self.texts[NAME]) and NAME not in found:
            try:
                check_name(name, "")
            except ConfigError as error:
                found[NAME] = str(error)
            else:
                if self._name_taken(name):
                    found[NAME] = f"there is a run named {name} already; choose another name"
        return found

    def config(self) -> RunConfig:
        """The configuration. Raises ConfigError with the first problem in the form's order."""
        found = self.problems()
        first = next((path for path in self.docs if path in found), None)
        if found:
            path = first or next(iter(found))
            raise ConfigError(path, found[path])
        return build_config(("form", self._tree()[0]))

    def nearest_config(self) -> RunConfig:
        """The configuration with the preset's values in place of wrong ones, for figures while somebody types."""
        tree, _ = self._tree()
        for whole_section in (False, True):
            for path in (problem.path for problem in all_problems(tree)):
                section, _, name = path.partition(".")
                for field in list(tree[section]) if whole_section else [name]:
                    of = f"{section}.{field}"
                    tree[section][field] = parsed(self.docs[of], self.base[of])
        return build_config(("form", tree))

    @property
    def name(self) -> str | None:
        """The run's name, None where one is to be made."""
        return self.texts[NAME].strip() or None

    def _tree(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """The values, and what could not be read, where the preset's value stands."""
        tree: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        found: dict[str, str] = {}
        unknown = self.locked() if self.origin is not None and not self.origin.shape_known else frozenset()
        for path, text in self.texts.items():
            if path == NAME:
                continue
            section, _, name = path.partition(".")
            try:
                tree[section][name] = parsed(self.docs[path], self.base[path] if path in unknown else text)
            except ConfigError as error:
                found[path] = error.message
                tree[section][name] = parsed(self.docs[path], self.base[path])
        return tree, found


def _fine_tuning() -> dict[str, str]:
    return texts_of(build_config(("preset", PRESETS[DEFAULT_PRESET].tree), ("fine-tuning", FINE_TUNING)))


def texts_of(config: RunConfig) -> dict[str, str]:
    """What the form shows for a configuration, by field path, and an empty name."""
    docs = form_docs()
    values = ((f"{s}.{n}", v) for s, fields in to_dict(config).items() for n, v in fields.items())
    return {NAME: "", **{path: typed(docs[path], value) for path, value in values}}
