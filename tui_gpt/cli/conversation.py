"""A text that a person and a model write in turns: what is on the screen is what the model continues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tui_gpt.cli.terminal_text import TextOut
from tui_gpt.core.config import SampleConfig, to_dict
from tui_gpt.core.config_loading import parse_setting
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.engine.generation.stream import Generator

if TYPE_CHECKING:
    from tui_gpt.engine.interop.huggingface import LoadedModel

_SEEDS = 1 << 63


@dataclass(slots=True)
class _Turn:
    """What a person added to the text, and what the model wrote after it."""

    added: str
    reply: str = ""


class Conversation:
    """The turns so far. Of a text longer than the model's context its end is seen, as in all generation."""

    def __init__(self, loaded: LoadedModel, settings: SampleConfig) -> None:
        self._generator = Generator.of(loaded)
        self._settings = settings
        self._turns: list[_Turn] = []
        self._draws = 0

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "".join(turn.added + turn.reply for turn in self._turns)

    def say(self, line: str) -> None:
        """Append a line and show how the model goes on; an empty line adds nothing. Raises TuiGptError."""
        before = self.text
        # A line of a person is a line of the text, also where the reply before it broke off in the middle of one.
        separator = "\n" if line and before and not before.endswith("\n") else ""
        self._turns.append(_Turn(separator + line))
        try:
            self._reply()
        except TuiGptError:
            self._turns.pop()
            raise

    def retry(self) -> None:
        """Write the last reply again, from the next seed."""
        self._require_turn()
        old, self._turns[-1].reply = self._turns[-1].reply, ""
        try:
            self._reply()
        except TuiGptError:
            self._turns[-1].reply = old
            raise

    def undo(self) -> None:
        """Take back the last turn."""
        self._require_turn()
        self._turns.pop()

    def reset(self) -> None:
        """Forget everything; a given seed begins anew."""
        self._turns.clear()
        self._draws = 0

    def set(self, setting: str) -> None:
        """Change one field of the settings, given as FIELD=VALUE. Raises ConfigError."""
        name, equals, value = setting.partition("=")
        name = name.strip().removeprefix("sample.").replace("-", "_")
        if name == "n_samples":
            raise ConfigError("sample.n_samples", "is always 1 in a conversation; /retry writes another reply")
        # Its own sentences for what is no field and no value.
        tree = parse_setting(f"sample.{name}{equals}{value}")
        self._settings = _with(self._settings, tree["sample"])
        if name == "seed":
            self._draws = 0

    def described(self) -> str:
        """The settings, one on a line."""
        fields = to_dict(self._settings)
        return "\n".join(f"{name} = {safe_text(str(v), newlines=False)}" for name, v in fields.items())

    def _require_turn(self) -> None:
        if not self._turns:
            raise TuiGptError("nothing was said yet, so there is nothing to take back or to write again")

    def _reply(self) -> None:
        """Stream the continuation of the text to stdout, and keep what was shown even if it is broken off."""
        settings = self._settings
        if settings.seed is not None:
            # Each draw from a seed of its own: a retry differs, and the whole conversation can be had again.
            settings = msgspec.structs.replace(settings, seed=(settings.seed + self._draws) % _SEEDS)
        turn, out = self._turns[-1], TextOut()
        stream = self._generator.stream(self.text, settings)
        self._draws += 1
        try:
            for piece in stream:
                turn.reply += piece.text
                out.write(piece.text)
        except KeyboardInterrupt:
            out.end(line=True)
            raise
        out.end(line=True)


def _with(settings: SampleConfig, changes: dict[str, object]) -> SampleConfig:
    from tui_gpt.core.config_loading import convert

    return convert({**to_dict(settings), **changes}, SampleConfig, "sample")
