"""`tui-gpt sample`: write text with a model, streamed to stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import source_names
from tui_gpt.cli.filling import chosen_template, filled
from tui_gpt.cli.options import (
    checkpoint_option,
    device_option,
    echo_json,
    fill_option,
    guard_option,
    json_option,
    precision_option,
    sample_options,
    sample_settings,
    template_option,
)
from tui_gpt.cli.terminal_text import TextOut
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.safe_text import safe_text

if TYPE_CHECKING:
    from tui_gpt.core.config import SampleConfig, WritingPrecision
    from tui_gpt.core.guards import Verdict
    from tui_gpt.core.templates import Template
    from tui_gpt.engine.generation.model_source import ModelSource
    from tui_gpt.engine.generation.stream import Generator, Piece, Stream
    from tui_gpt.engine.interop.huggingface import LoadedModel

_LARGEST_PROMPT_BYTES = 64 << 20


@click.command(
    "sample",
    epilog="Fields that are left out are as the template has them, else as the model's own run had them, else the "
    "defaults shown.",
)
@click.argument("name", shell_complete=source_names)
@click.option("--prompt", help="The text to continue; - reads it from stdin. [default: nothing]")
@click.option(
    "--prompt-file", type=click.Path(path_type=Path, allow_dash=True), help="Read the prompt from a file; - is stdin."
)
@template_option
@fill_option
@click.option("--no-prompt", is_flag=True, help="Show the continuation only.")
@click.option("--system", default="", help="What a model that answers reads before everything, e.g. who it is.")
@click.option("--continue", "continues", is_flag=True, help="Let a model that answers continue the prompt instead.")
@checkpoint_option
@device_option
@precision_option
@guard_option
@json_option
@sample_options()
def command(
    name: str,
    prompt: str | None,
    prompt_file: Path | None,
    template: str | None,
    fills: tuple[str, ...],
    no_prompt: bool,
    system: str,
    continues: bool,
    checkpoint: str | None,
    device: str,
    precision: WritingPrecision,
    guard: str | None,
    as_json: bool,
    **fields: Any,
) -> None:
    """Write text with NAME: a model, a run (also while it trains), or the path of a model's folder.

    A model that has learned from conversations answers the prompt, another one continues it. With --template, the
    prompt is a template whose blanks --fill fills, and every model continues that; where one is left open, --prompt
    fills it.

    \b
    Examples:
      tui-gpt sample bard --prompt "ROMEO:" --max-new-tokens 300
      tui-gpt sample talker --prompt "Who are you?" --no-prompt
      tui-gpt sample bard --n-samples 3 --seed 7 --temperature 1 --top-p 0.9
      tui-gpt sample bard --checkpoint last --prompt-file scene.txt --no-prompt > act.txt
      tui-gpt sample ./exported/bard --stop "." --json | jq -r .text
      tui-gpt sample gpt2 --template qa --fill question="Who wrote Faust?"
    """
    from tui_gpt.core.config import SampleConfig
    from tui_gpt.engine.generation.model_source import load_source
    from tui_gpt.engine.generation.stream import Generator
    from tui_gpt.engine.session.threads import use_threads

    sample_settings(SampleConfig(), fields)  # what is wrong with the options is said before anything is loaded
    chosen = chosen_template(template, fills)
    asked = _asked(_prompt(prompt, prompt_file), chosen, fills)
    verdict = _judged(guard, asked.said)
    if verdict is not None and not verdict.accepted:
        _refuse(verdict, asked, as_json=as_json)
        return
    source, loaded = load_source(name, checkpoint, device)
    use_threads(loaded.network)
    generator = Generator.of(loaded, precision)
    own = source.sample_config
    settings = sample_settings(asked.template.applied(own) if asked.template else own, fields)
    question = None
    if asked.template is None:
        question = _question(source, loaded, asked.text, system, settings, continues=continues)
    _write(source, generator, asked, question, settings, verdict, as_json=as_json, show_prompt=not no_prompt)


def _question(
    source: ModelSource, loaded: LoadedModel, text: str, system: str, settings: SampleConfig, *, continues: bool
) -> list[int] | None:
    """What a model that has learned from conversations reads before it answers; None where the text is continued."""
    from tui_gpt.engine.generation.dialogue import dialogue_prompt, require_chat_format
    from tui_gpt.engine.text.dialogues.chat_format import chat_format
    from tui_gpt.engine.text.dialogues.conversation import Message

    if continues or chat_format(loaded.tokenizer) is None:
        if system:
            require_chat_format(loaded.tokenizer, source.title)
            raise click.UsageError("--system is for answers, and --continue asks for none; leave one of them out")
        return None
    if not text.strip():
        raise click.UsageError("nothing is asked; give a --prompt, or --continue for a text of its own")
    messages = [Message("system", system)] if system else []
    messages.append(Message("user", text))
    return dialogue_prompt(loaded.tokenizer, messages, loaded.config.n_positions, settings.max_new_tokens).ids


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the model is to continue."""

    text: str
    said: str
    """What of it a person wrote, as a guard sees it."""
    template: Template | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What JSON tells of it."""
        named = {"template": self.template.name} if self.template is not None else {}
        return {"prompt": self.text, **named}


def _asked(prompt: str | None, template: Template | None, fills: tuple[str, ...]) -> _Asked:
    if template is None:
        return _Asked(prompt or "", prompt or "")
    result = filled(template, fills, prompt)
    return _Asked(result.text, result.said, template)


def _judged(guard: str | None, said: str) -> Verdict | None:
    """What the guard makes of it; None without one. Raises TuiGptError."""
    from tui_gpt.core.guards import find_guard, judge

    return judge(find_guard(guard), said) if guard is not None else None


def _refuse(verdict: Verdict, asked: _Asked, *, as_json: bool) -> None:
    """The guard's answer in place of a model's: none is loaded."""
    from tui_gpt.core.guards import account

    if as_json:
        refused = {"model": None, "sample": 0, **asked.record, "text": verdict.refusal, "seed": None, "tokens": 0}
        rest = {"reason": "declined", "tokens_per_second": None, "guard": _guard_record(verdict, verdict.seconds)}
        echo_json({**refused, **rest}, lines=True)
    else:
        out = TextOut()
        out.write(verdict.refusal)
        out.end(line=True)
    click.echo(safe_text(account(verdict, 0, verdict.seconds), newlines=False), err=True)


def _guard_record(verdict: Verdict, seconds: float) -> dict[str, Any]:
    return {
        "name": verdict.guard,
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "seconds": round(seconds, 3),
    }


def _prompt(prompt: str | None, file: Path | None) -> str | None:
    """The prompt, from wherever it comes; None where none is given. Raises CorpusError for what is not text."""
    if prompt is not None and file is not None:
        raise click.UsageError("give either --prompt or --prompt-file")
    if prompt == "-" or (file is not None and str(file) == "-"):
        return read_stdin()
    if file is not None:
        return _read_file(file)
    return checked(prompt, "the prompt") if prompt is not None else None


def _read_file(path: Path) -> str:
    from tui_gpt.engine.text.reading import find_text_files, read_blocks

    if path.is_dir():
        raise CorpusError(f"{path} is a folder, and a prompt is one text file")
    if find_text_files(path).n_bytes > _LARGEST_PROMPT_BYTES:
        raise CorpusError(f"{path} is larger than {_LARGEST_PROMPT_BYTES >> 20} MB, and no model looks back that far")
    return "".join(read_blocks(path))


def read_stdin() -> str:
    """The text on stdin, line ends as `\\n`. Raises CorpusError when it is not UTF-8."""
    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"stdin is not valid UTF-8 at byte {error.start:,}; convert it first, e.g. with iconv -t utf-8"
        ) from None


def checked(text: str, what: str) -> str:
    """`text`, if it is text. Raises CorpusError for bytes of the command line that were none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CorpusError(f"{what} is not valid UTF-8; check the encoding of this terminal") from None
    return text


@dataclass(slots=True)
class _Written:
    """One sample as it grows."""

    text: str = ""
    tokens: int = 0
    reason: str | None = None
    seconds: float = 0.0
    waiting: list[str] = field(default_factory=list)
    """Pieces that are not shown yet, because an earlier sample is."""


def _write(
    source: ModelSource,
    generator: Generator,
    asked: _Asked,
    question: list[int] | None,
    settings: SampleConfig,
    verdict: Verdict | None,
    *,
    as_json: bool,
    show_prompt: bool,
) -> None:
    from tui_gpt.core.guards import account

    stream = generator.stream(asked.text if question is None else question, settings)
    network = generator.network
    parameters = network.count_parameters()
    model = f"{source.title}: {network.config.family}, {parameters / 1e6:.2f} M parameters"
    click.echo(f"{safe_text(model, newlines=False)}; seed {stream.seed}", err=True)
    samples = [_Written() for _ in range(settings.n_samples)]
    started = time.perf_counter()
    pieces = _counted(stream, samples)
    interrupted = False
    try:
        if as_json:
            for _ in pieces:
                pass
        else:
            shown = asked.text if question is None else f"{asked.text}\n"  # a question and its answer are two lines
            _show(pieces, samples, shown if show_prompt else "")
    except KeyboardInterrupt:
        interrupted = True
    seconds = time.perf_counter() - started
    if as_json:
        _echo_samples(samples, source, asked, stream, verdict)
    total = sum(sample.tokens for sample in samples)
    if verdict is not None:
        click.echo(safe_text(account(verdict, total, seconds), newlines=False), err=True)
    click.echo(f"{total:,} tokens in {seconds:.1f} s, {total / max(seconds, 1e-9):,.0f} tokens/s", err=True)
    if interrupted:
        raise KeyboardInterrupt


def _counted(stream: Stream, samples: list[_Written]) -> Iterator[Piece]:
    """The pieces as they come, kept and counted in passing."""
    started = time.perf_counter()
    for piece in stream:
        sample = samples[piece.sample]
        sample.text += piece.text
        sample.tokens += piece.token_id is not None
        sample.seconds = time.perf_counter() - started
        sample.reason = piece.finished
        yield piece


def _show(pieces: Iterator[Piece], samples: list[_Written], prompt: str) -> None:
    """One sample after the other on stdout: the first of those unfinished as it is written, later ones wait."""
    out = _SampleOut(len(samples), prompt)
    current = 0
    out.begin(current)
    try:
        for piece in pieces:
            samples[piece.sample].waiting.append(piece.text)
            while current < len(samples):
                out.write(samples[current].waiting)
                if samples[current].reason is None:
                    break
                out.end()
                current += 1
                if current < len(samples):
                    out.begin(current)
    except KeyboardInterrupt:
        # What the others have so far was asked for too.
        for number in range(current, len(samples)):
            if number > current:
                out.begin(number)
            out.write(samples[number].waiting)
            out.end()
        raise


class _SampleOut:
    """Samples on stdout, a line between two of them."""

    def __init__(self, n_samples: int, prompt: str) -> None:
        self._n_samples, self._prompt = n_samples, prompt
        self._out = TextOut()

    def begin(self, number: int) -> None:
        if self._n_samples > 1:
            self._out.write(f"---- sample {number + 1} of {self._n_samples} ----\n")
        self._out.write(self._prompt)

    def write(self, waiting: list[str]) -> None:
        self._out.write("".join(waiting))
        waiting.clear()

    def end(self) -> None:
        self._out.end(line=self._n_samples > 1)


def _echo_samples(
    samples: list[_Written], source: ModelSource, asked: _Asked, stream: Stream, verdict: Verdict | None
) -> None:
    for number, sample in enumerate(samples):
        echo_json(
            {
                "model": source.title,
                "sample": number,
                **asked.record,
                "text": sample.text,
                "seed": stream.seed,
                "tokens": sample.tokens,
                "reason": sample.reason or "cancelled",
                "tokens_per_second": round(sample.tokens / sample.seconds, 1) if sample.seconds else None,
                **({"guard": _guard_record(verdict, sample.seconds)} if verdict is not None else {}),
            },
            lines=True,
        )
