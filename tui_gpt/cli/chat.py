"""`tui-gpt chat`: a conversation with a model, line by line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import source_names
from tui_gpt.cli.filling import chosen_template, line_frame
from tui_gpt.cli.options import (
    checkpoint_option,
    device_option,
    fill_option,
    guard_option,
    precision_option,
    sample_options,
    sample_settings,
    template_option,
    typed_settings,
)
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.safe_text import safe_text

if TYPE_CHECKING:
    from tui_gpt.cli.conversation import Conversation
    from tui_gpt.core.config import WritingPrecision

_PROMPT = "> "
_HELP = """\
An empty line lets a model that continues go on. Ctrl-C stops a reply, Ctrl-D leaves.
/reset              forget everything
/undo               take back the last line and its reply
/retry              write the last reply again, differently
/seed N             draw from this seed (/seed none: a new one each time)
/set FIELD=VALUE    e.g. /set temperature=0.5; /set alone shows all settings
/system TEXT        what a model that answers reads before everything (/system alone: nothing)
/guard NAME         let this guard decide what the model is asked (/guard none: nobody)
/template NAME      put each line into this template (/template none: lines as they are)
/help, /quit
A line that begins with // is text that begins with /."""


@click.command(
    "chat",
    epilog="Fields that are left out are as the template has them, else as the model's own run had them, else the "
    "defaults shown.",
)
@click.argument("name", shell_complete=source_names)
@checkpoint_option
@device_option
@precision_option
@guard_option
@click.option("--system", default="", help="What a model that answers reads before everything, e.g. who it is.")
@click.option("--continue", "continues", is_flag=True, help="Let a model that answers continue the text instead.")
@template_option
@fill_option
@sample_options("n_samples")
def command(
    name: str,
    checkpoint: str | None,
    device: str,
    precision: WritingPrecision,
    guard: str | None,
    system: str,
    continues: bool,
    template: str | None,
    fills: tuple[str, ...],
    **fields: Any,
) -> int:
    """Talk to NAME: a model, a run, or the path of a model's folder.

    With --guard, each line is judged first, and what is declined never reaches the model: the guard answers it. Each
    answer's account, with the reason, the tokens and the seconds, goes to stderr.

    With --template, each line fills the one blank of the template that --fill leaves open, and the model reads that
    alone, without what was said before; an empty line lets it go on.

    A model that has learned from conversations answers each line, and remembers as many of the latest as its context
    holds. Another one continues: each line is appended to the text so far, and the model goes on from there. /help
    shows what else can be typed. From a pipe, each line is a turn.

    \b
    Examples:
      tui-gpt chat bard --max-new-tokens 120 --stop "ROMEO:"
      tui-gpt chat gpt2 --guard python
      tui-gpt chat gpt2 --template qa
      printf 'ROMEO:\\n/retry\\n' | tui-gpt chat bard --seed 1
    """
    from tui_gpt.cli.conversation import Conversation
    from tui_gpt.core.config import SampleConfig
    from tui_gpt.core.guards import find_guard
    from tui_gpt.engine.generation.dialogue import require_chat_format
    from tui_gpt.engine.generation.model_source import load_source
    from tui_gpt.engine.text.dialogues.chat_format import chat_format

    sample_settings(SampleConfig(), fields)  # what is wrong with the options is said before anything is loaded
    chosen = find_guard(guard) if guard is not None else None
    asked = chosen_template(template, fills)
    frame = line_frame(asked, fills) if asked is not None else None
    source, loaded = load_source(name, checkpoint, device)
    typed = {**typed_settings(fields), "n_samples": 1}
    title = safe_text(source.title, newlines=False)
    in_turns = chat_format(loaded.tokenizer) is not None and not continues
    if system and not in_turns:
        require_chat_format(loaded.tokenizer, source.title)
        raise click.UsageError("--system is for answers, and --continue asks for none; leave one of them out")
    loaded.tokenizer.encode(system)  # what it cannot read is said once, and not at every line
    wanted = "ask it something" if in_turns else "type a text for it to continue"
    click.echo(f"{title}: {wanted}; /help helps, /quit leaves", err=True)
    conversation = Conversation(
        loaded, source.sample_config, typed, chosen, frame, in_turns=in_turns, system=system, precision=precision
    )
    _tell_template(conversation)
    for line in _lines():
        if not _take_turn(conversation, line):
            break
    return 0


def _take_turn(conversation: Conversation, line: str) -> bool:
    """Do what a line asks for; False when it asks to leave. What is wrong with it is said, and the talk goes on."""
    try:
        if line.startswith("/") and not line.startswith("//"):
            word, _, argument = line[1:].partition(" ")
            return _obey(conversation, word.strip().lower(), argument.strip())
        conversation.say(line.removeprefix("/") if line.startswith("//") else line)
    except TuiGptError as error:
        click.echo(f"error: {safe_text(str(error), newlines=False)}", err=True)
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
    return True


def _obey(conversation: Conversation, word: str, argument: str) -> bool:
    match word:
        case "quit" | "exit":
            return False
        case "help":
            click.echo(_HELP, err=True)
        case "reset":
            conversation.reset()
        case "undo":
            conversation.undo()
        case "retry":
            conversation.retry()
        case "seed":
            conversation.set(f"seed={argument}")
        case "system":
            conversation.tell_first(argument)
        case "guard":
            _choose_guard(conversation, argument)
        case "template":
            _choose_template(conversation, argument)
        case "set" if not argument:
            click.echo(conversation.described(), err=True)
        case "set":
            conversation.set(argument)
        case _:
            raise TuiGptError(
                f"there is no command /{word[:40]}; /help shows those there are, and // begins text with /"
            )
    return True


def _choose_guard(conversation: Conversation, name: str) -> None:
    from tui_gpt.core.guards import find_guard, guard_names

    if not name:
        now = conversation.guard.name if conversation.guard else "none"
        click.echo(f"guard = {now}; there are {', '.join(guard_names())}", err=True)
        return
    conversation.guard = None if name == "none" else find_guard(name)


def _choose_template(conversation: Conversation, name: str) -> None:
    from tui_gpt.core.templates import find_template, template_names

    if not name:
        now = conversation.frame.template.name if conversation.frame else "none"
        click.echo(f"template = {now}; there are {', '.join(template_names())}", err=True)
        return
    conversation.frame = None if name == "none" else line_frame(find_template(name))
    _tell_template(conversation)


def _tell_template(conversation: Conversation) -> None:
    """Say what becomes of a line, and with which settings that nobody has said otherwise."""
    if (frame := conversation.frame) is not None:
        settings = frame.template.settings_in_words(but=conversation.typed)
        line = f"template {frame.template.name}: each line fills {frame.blank}" + (f"; {settings}" if settings else "")
        click.echo(safe_text(line, newlines=False), err=True)


def _lines() -> Iterator[str]:
    """What is typed or piped in, line by line, until its end."""
    if not sys.stdin.isatty():
        yield from _piped()
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() its line editing
    # Without a terminal behind stdout, input() would write its prompt into the data.
    in_terminal = sys.stdout.isatty()
    while True:
        if not in_terminal:
            click.echo(_PROMPT, err=True, nl=False)
        try:
            yield input(_PROMPT if in_terminal else "")
        except EOFError:
            click.echo(err=True)
            return
        except UnicodeDecodeError:
            click.echo("error: that was not valid UTF-8; check the encoding of this terminal", err=True)


def _piped() -> Iterator[str]:
    for number, raw in enumerate(sys.stdin.buffer, start=1):
        try:
            yield raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            click.echo(f"error: line {number} of stdin is not valid UTF-8 and is passed over", err=True)
