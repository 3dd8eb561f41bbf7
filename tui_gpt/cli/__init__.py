"""The command line: the app's full twin. stdout is data, stderr is narration, exit codes mean something.

Commands are imported when they are called, so that `--help` is instant and torch is loaded only where it computes.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from tui_gpt import __version__
from tui_gpt.core.errors import TuiGptError

# name: (module, its command, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("train", "Train a model on a text, and watch it learn."),
    "sample": ("sample", "Write text with a model."),
    "chat": ("chat", "Talk to a model, line by line."),
    "eval": ("evaluate", "Measure how well a model predicts a text."),
    "runs": ("runs", "List, follow and steer training runs."),
    "models": ("models", "List, check and keep trained models."),
    "corpora": ("corpora", "List and examine texts to train on."),
    "guards": ("guards", "List and try what decides which prompts a model is asked."),
    "templates": ("templates", "List and show prompts with blanks to fill."),
    "config": ("config", "Show, check and explain configurations."),
    "doctor": ("doctor", "Tell what this machine can do, and what is missing."),
}

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


class _ReaderHasLeftError(Exception):
    """Whoever read stdout has enough. No OSError, because click would make exit code 1 of a broken pipe."""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, loaded on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a person's journey."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, importing its module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tui_gpt.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named, or the app for what is no command and a corpus: `tui-gpt book.txt`."""
        if args and args[0] not in COMMANDS and _names_corpus(args[0]):
            return "app", _app(), args
        return super().resolve_command(ctx, args)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the arguments; --help and --version answer here."""
        try:
            return super().make_context(*arguments, **more)
        except BrokenPipeError:
            raise _ReaderHasLeftError from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderHasLeftError from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _names_corpus(word: str) -> bool:
    """Whether a first word that is no command means a text: of the catalogue, of the Hub, or what looks like a path."""
    from tui_gpt.core.corpora import CATALOGUE

    # Where a word is too long for a path, Path raises and this does not.
    return word in CATALOGUE or word.startswith("hub:") or "/" in word or "." in word or os.path.exists(word)  # noqa: PTH110


def _app() -> click.Command:
    from tui_gpt.cli.app import command

    return command


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 corpus, 4 run, 5 model, 6 memory, "
    "130 interrupted, 143 terminated.",
)
@click.version_option(__version__, prog_name="tui-gpt")
@click.pass_context
def cli(context: click.Context) -> int | None:
    """Configure, train, keep and talk to GPT models in one terminal.

    \b
    The full-screen app, by itself or with a text chosen to train on:
      tui-gpt
      tui-gpt book.txt

    \b
    From nothing to text in a minute, without it:
      tui-gpt train stories --minutes 1 --name first
      tui-gpt sample first --prompt "One day"

    \b
    On a text of your own:
      tui-gpt train book.txt --minutes 10 --name book
      tui-gpt runs follow book
      tui-gpt chat book
    """
    if context.invoked_subcommand is not None:
        return None
    from tui_gpt.core.terminal import why_no_screen

    if reason := why_no_screen():
        click.echo(context.get_help())
        click.echo(f"\nthe app is not opened, because {reason}", err=True)
        return 0
    return int(context.invoke(_app(), corpus=None) or 0)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; whatever goes wrong ends in one sentence on stderr."""
    from tui_gpt.cli.narration import guard_stderr

    _replace_closed_streams()
    guard_stderr()
    code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        code = code or _report_output(error)
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:  # noqa: PLR0911 - one return per kind of ending
    """As `main`, returning the exit code, with the streams as they are."""
    # A terminal or pipe that cannot show a character gets a replacement instead of a traceback (LANG=C).
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        result = cli.main(args=arguments, prog_name="tui-gpt", standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        _show_usage_error(error)
        return error.exit_code
    except TuiGptError as error:
        _say_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except (BrokenPipeError, _ReaderHasLeftError):
        _forget_stdout()
        return 0
    except OSError as error:
        return _report_output(error) if error.errno in _DISK_ERRORS else _report_unexpected(error)
    except Exception as error:
        # The last place where a person can get a sentence instead of a traceback.
        return _report_unexpected(error)
    return result if isinstance(result, int) else 0


def _forget_stdout() -> None:
    """Let what is still in its buffer go nowhere: Python would try again at its end, complain, and leave with 120."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _report_output(error: OSError) -> int:
    where = f"{error.filename} cannot be written" if error.filename else "the output cannot be written"
    _say_error(f"{where}: {(error.strerror or str(error)).lower()}; free space or write elsewhere")
    return 1


def _replace_closed_streams() -> None:
    """Give what was closed (`<&-`, `>&-`) to /dev/null, before the next file that is opened takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - while the process lives


def _show_usage_error(error: click.ClickException) -> None:
    from tui_gpt.core.safe_text import safe_text

    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tui-gpt"
    message = safe_text(error.format_message(), newlines=False)
    click.echo(f"error: {message}\nsee `{command} --help`", err=True)


def _say_error(sentence: str) -> None:
    from tui_gpt.core.safe_text import safe_text

    click.echo(f"error: {safe_text(sentence, newlines=False)}", err=True)


def _report_unexpected(error: Exception) -> int:
    import traceback

    from tui_gpt.core import locations

    log = locations.home() / "errors.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as handle:
            traceback.print_exception(error, file=handle)
        where = f"the details are in {log}"
    except OSError:
        where = f"and its details could not be written to {log}"
    first = str(error).strip().split("\n", 1)[0][:300]
    _say_error(f"an unexpected {type(error).__name__}: {first}; {where}, please report it")
    return 1
