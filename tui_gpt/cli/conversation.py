"""What a person and a model write in turns: one text that the model continues, or questions and their answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tui_gpt.cli.terminal_text import TextOut
from tui_gpt.core.config import SampleConfig, WritingPrecision, to_dict
from tui_gpt.core.config_loading import parse_setting
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.guards import Guard, Verdict, account, judge
from tui_gpt.core.safe_text import safe_text
from tui_gpt.engine.generation.dialogue import dialogue_prompt
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.session.threads import use_threads
from tui_gpt.engine.text.dialogues.conversation import Message

if TYPE_CHECKING:
    from tui_gpt.cli.filling import LineFrame
    from tui_gpt.engine.interop.huggingface import LoadedModel

_SEEDS = 1 << 63


@dataclass(slots=True)
class _Turn:
    """What a person said, and what the model wrote after it. What a guard declined is no part of the text."""

    said: str
    judged: str
    """What of it a guard sees: not a template's own text."""
    separator: str = ""
    anew: bool = False
    """Whether the model reads nothing of what was before: a filled template stands by itself."""
    reply: str = ""
    verdict: Verdict | None = None

    @property
    def declined(self) -> bool:
        return self.verdict is not None and not self.verdict.accepted

    @property
    def text(self) -> str:
        return "" if self.declined else self.separator + self.said + self.reply


class Conversation:
    """The turns so far. Of a text longer than the model's context its end is seen, as in all generation.

    With `in_turns` each line is a message that the model answers, as it has learned from conversations; of messages
    that do not fit the oldest are left out.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        own: SampleConfig,
        typed: dict[str, Any],
        guard: Guard | None = None,
        frame: LineFrame | None = None,
        *,
        in_turns: bool = False,
        system: str = "",
        precision: WritingPrecision = "float32",
    ) -> None:
        """`own` are the model's settings; those of the frame's template go over them, and what was typed over both."""
        self.guard = guard
        """Who is asked first about what a person says."""
        self._loaded, self._in_turns, self._system = loaded, in_turns, system
        use_threads(loaded.network)
        self._generator = Generator.of(loaded, precision)
        self.typed = typed
        """Fields of the settings that a person has said."""
        self._own = own
        self.frame = frame
        """The template that each line fills; None: lines are said as they are typed."""
        self._turns: list[_Turn] = []
        self._draws = 0

    @property
    def _settings(self) -> SampleConfig:
        return _with(self.frame.template.applied(self._own) if self.frame else self._own, self.typed)

    @property
    def text(self) -> str:
        """What the model reads: everything that was said since the last template that was filled."""
        begins = [number for number, turn in enumerate(self._turns) if turn.anew and not turn.declined]
        return "".join(turn.text for turn in self._turns[begins[-1] if begins else 0 :])

    def say(self, line: str) -> None:
        """Append a line and show how the model goes on; an empty line adds nothing. Raises TuiGptError.

        In a frame, the line fills a template, and the model reads that alone. What the guard declines, it answers
        itself.
        """
        if self._in_turns and self.frame is None and not line.strip():
            raise TuiGptError("an empty line asks nothing; this model answers what is said to it")
        self._turns.append(self._turn(line))
        try:
            self._reply()
        except TuiGptError:
            self._turns.pop()
            raise

    def _turn(self, line: str) -> _Turn:
        if self.frame is not None and line:
            filled = self.frame.around(line)
            return _Turn(filled.text, filled.said, anew=True)
        before = self.text
        # A line of a person is a line of the text, also where the reply before it broke off in the middle of one.
        separator = "\n" if line and before and not before.endswith("\n") else ""
        return _Turn(line, line, separator)

    def retry(self) -> None:
        """Write the last reply again, from the next seed. The guard is asked again too."""
        self._require_turn()
        old = self._turns[-1]
        self._turns[-1] = _Turn(old.said, old.judged, old.separator, old.anew)
        try:
            self._reply()
        except TuiGptError:
            self._turns[-1] = old
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
        changed = {**self.typed, **tree["sample"]}
        _with(self._own, changed)  # says what is wrong with it
        self.typed = changed
        if name == "seed":
            self._draws = 0

    def tell_first(self, system: str) -> None:
        """What the model reads before everything from now on; empty: nothing. Raises TuiGptError."""
        if not self._in_turns:
            raise TuiGptError("this model continues texts and reads no instructions; begin a text instead")
        self._loaded.tokenizer.encode(system)  # says which character it does not know
        self._system = system

    def described(self) -> str:
        """The settings, one on a line."""
        fields = to_dict(self._settings)
        return "\n".join(f"{name} = {safe_text(str(v), newlines=False)}" for name, v in fields.items())

    def _require_turn(self) -> None:
        if not self._turns:
            raise TuiGptError("nothing was said yet, so there is nothing to take back or to write again")

    def _reply(self) -> None:
        """Answer the last turn on stdout: the guard where it declines, else the model."""
        turn, guard = self._turns[-1], self.guard
        # Where nothing was said, the model goes on with what it had accepted.
        if guard is None or not turn.said:
            self._write(turn)
            return
        turn.verdict = judge(guard, turn.judged)
        if turn.verdict.accepted:
            self._write(turn)
        else:
            out = TextOut()
            out.write(turn.verdict.refusal)
            out.end(line=True)
            self._account(turn, 0, turn.verdict.seconds)

    def _write(self, turn: _Turn) -> None:
        """Stream the continuation of the text to stdout, and keep what was shown even if it is broken off."""
        settings = self._settings
        if settings.seed is not None:
            # Each draw from a seed of its own: a retry differs, and the whole conversation can be had again.
            settings = msgspec.structs.replace(settings, seed=(settings.seed + self._draws) % _SEEDS)
        out, tokens, began = TextOut(), 0, time.perf_counter()
        stream = self._generator.stream(self._prompt(settings), settings)
        self._draws += 1
        try:
            for piece in stream:
                turn.reply += piece.text
                tokens += piece.token_id is not None
                out.write(piece.text)
        finally:
            out.end(line=True)
            self._account(turn, tokens, time.perf_counter() - began)

    def _prompt(self, settings: SampleConfig) -> str | list[int]:
        """What the model reads."""
        if not self._in_turns or self.frame is not None:
            return self.text  # a template is a text to continue, whatever the model has learned
        messages = [Message("system", self._system)] if self._system else []
        for turn in self._turns:
            if turn.text and not turn.anew:  # what filled a template was no message
                messages.append(Message("user", turn.said))
                messages += [Message("assistant", turn.reply)] if turn.reply else []
        n_positions = self._loaded.config.n_positions
        prompt = dialogue_prompt(self._loaded.tokenizer, messages, n_positions, settings.max_new_tokens)
        if prompt.dropped:
            click.echo(f"({prompt.dropped} of the oldest messages no longer fit, and are forgotten)", err=True)
        return prompt.ids

    @staticmethod
    def _account(turn: _Turn, tokens: int, seconds: float) -> None:
        if turn.verdict is not None:
            click.echo(safe_text(account(turn.verdict, tokens, seconds), newlines=False), err=True)


def _with(settings: SampleConfig, changes: dict[str, object]) -> SampleConfig:
    from tui_gpt.core.config_loading import convert

    return convert({**to_dict(settings), **changes}, SampleConfig, "sample")
