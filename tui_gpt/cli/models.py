"""`tui-gpt models`: the library of trained models, and the examples beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui_gpt.cli.completion import model_names
from tui_gpt.cli.options import confirm, echo_json, help_without_command, json_option, yes_option
from tui_gpt.cli.tables import amount, echo_pairs, echo_table, one_line
from tui_gpt.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui_gpt.core.model_handler import DamagedModel, ModelEntry
    from tui_gpt.core.model_record import ModelRecord
    from tui_gpt.engine.interop.gguf_file import GgufType


@click.group("models", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List, check and keep trained models.

    Each model is a folder that Hugging Face transformers opens as it is; `show` says where. The examples that come with
    the program are read-only: fork one to change it.

    \b
    Examples:
      tui-gpt models list
      tui-gpt models verify
      tui-gpt models fork bard bard-2
      tui-gpt models note bard-2 "for the lesson on sampling"
      tui-gpt models import hub:openai-community/gpt2
    """
    help_without_command(context)


@command.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """All models by name."""
    from tui_gpt.core.model_handler import DamagedModel, ModelHandler

    found = ModelHandler().list()
    if as_json:
        echo_json([_summary(entry) for entry in found])
        return
    if not found:
        click.echo("there are no models yet; `tui-gpt train stories --minutes 1` makes one", err=True)
        return
    rows = [("NAME", "FAMILY", "PARAMETERS", "SIZE", "CORPUS", "STEPS", "VALIDATION", "CREATED", "")]
    for entry in found:
        size = amount(entry.size_bytes)
        if isinstance(entry, DamagedModel):
            rows.append((entry.name, "damaged", "", size, "", "", "", "", "see `models show`"))
            continue
        rows.append((entry.name, _family(entry), *_known(entry.record, size), "read-only" if entry.read_only else ""))
    echo_table(rows)


def _family(entry: ModelEntry) -> str:
    return entry.record.family if entry.record else str(entry.config.get("model_type", "?"))


def _known(record: ModelRecord | None, size: str) -> tuple[str, str, str, str, str, str]:
    """PARAMETERS to CREATED; nothing for what is not known."""
    if record is None:
        return "", size, "", "", "", ""
    return (
        "" if record.n_parameters is None else f"{record.n_parameters:,}",
        size,
        record.corpus.source if record.corpus else "",
        "" if record.steps is None else str(record.steps),
        "" if record.val_loss is None else f"{record.val_loss:.4f}",
        record.created[:16].replace("T", " "),
    )


def _summary(entry: ModelEntry | DamagedModel) -> dict[str, object]:
    from tui_gpt.core.model_handler import DamagedModel

    common: dict[str, object] = {
        "name": entry.name,
        "folder": entry.folder,
        "size_bytes": entry.size_bytes,
        "read_only": entry.read_only,
    }
    if isinstance(entry, DamagedModel):
        return {**common, "problem": entry.problem}
    record = entry.record
    return {
        **common,
        "problem": None,
        "family": _family(entry),
        "n_parameters": record.n_parameters if record else None,
        "corpus": record.corpus.source if record and record.corpus else None,
        "steps": record.steps if record else None,
        "val_loss": record.val_loss if record else None,
        "bits_per_byte": record.bits_per_byte if record else None,
        "created": record.created if record else None,
    }


@command.command("show")
@click.argument("name", shell_complete=model_names)
@json_option
def show(name: str, as_json: bool) -> None:
    """Tell all that is known about a model."""
    from tui_gpt.core.model_handler import ModelHandler

    handler = ModelHandler()
    if as_json:
        echo_json(handler.show(name))
        return
    entry = handler.get(name)
    pairs = [("name", entry.name + (" (an example, read-only)" if entry.read_only else ""))]
    pairs += _record_pairs(entry.record) if entry.record else [("model", f"{_family(entry)}, made elsewhere")]
    echo_pairs([*pairs, ("size", amount(entry.size_bytes)), ("folder", str(entry.folder))])


def _record_pairs(record: ModelRecord) -> list[tuple[str, str]]:
    from tui_gpt.core.notes import describe_curve, describe_losses, describe_model, describe_training

    corpus, tokenizer, sample = record.corpus, record.tokenizer, record.sample
    pairs = [
        ("model", describe_model(record)),
        ("corpus", f"{corpus.source} (sha256 {corpus.sha256})" if corpus else ""),
        ("tokenizer", f"{tokenizer.kind}, {tokenizer.vocab_size:,} tokens" if tokenizer else ""),
        ("training", describe_training(record)),
        ("losses", describe_losses(record)),
        ("curve", describe_curve(record)),
        ("created", record.created),
        ("parent", record.parent or ""),
        ("licence", record.license or ""),
        ("notes", record.notes),
        ("sample", f"{sample.prompt}{sample.text}" if sample else ""),
    ]
    return [(label, value) for label, value in pairs if value]


@command.command("verify")
@click.argument("names", nargs=-1, shell_complete=model_names)
@json_option
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Compare files with their recorded SHA-256.

    All models are looked at unless NAMES are given. Exit code 5 if any file differs, is missing or is one too many.
    """
    from tui_gpt.core.model_handler import ModelHandler

    handler = ModelHandler()
    wanted = names or tuple(entry.name for entry in handler.list())
    problems = {name: handler.verify(name) for name in wanted}
    if as_json:
        echo_json([{"name": name, "intact": not found, "problems": found} for name, found in problems.items()])
    else:
        echo_table([(name, found[0] if found else "intact") for name, found in problems.items()] or [("",)])
    damaged = [name for name, found in problems.items() if found]
    if damaged:
        raise ModelError(f"{len(damaged)} of {len(problems)} models differ from what was saved: {', '.join(damaged)}")


@command.command("import")
@click.argument("source")
@click.option("--as", "name", help="Its name in the library.  [default: as the folder or the repository is called]")
@click.option("--pickle", is_flag=True, help="Also read weights that are a pickle, in a process of their own.")
def import_(source: str, name: str | None, pickle: bool) -> None:
    """Add a model from elsewhere to the library.

    SOURCE is the folder of a GPT-2, Qwen3 or Llama model as transformers saves it, or a repository of the Hugging Face
    Hub: hub:owner/name, with @REVISION where a branch, a tag or a commit is meant. What was fetched before is taken
    from the Hub's own cache; HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they always do.

    \b
    Examples:
      tui-gpt models import hub:openai-community/gpt2
      tui-gpt models import hub:Qwen/Qwen3-0.6B@main --as qwen
      tui-gpt models import ~/Downloads/my-model
    """
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.engine.interop.importing import import_model

    progress = ProgressLine()
    try:
        entry = import_model(source, name, pickle=pickle, progress=progress)
    finally:
        progress.done()
    click.echo(
        f"{entry.name} is in the library, {_known(entry.record, '')[0]} parameters, in {one_line(str(entry.folder))}; "
        f'try `tui-gpt sample {entry.name} --prompt "..."`',
        err=True,
    )


@command.command("gguf")
@click.argument("name", shell_complete=model_names)
@click.option("--type", "kind", type=click.Choice(["f32", "f16", "q8_0"]), default="f16", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="The file to write.  [default: NAME.gguf]")
def gguf(name: str, kind: GgufType, output: Path | None) -> None:
    """Write a model as a GGUF file for llama.cpp.

    f32 holds the weights as they are, f16 in half the space, q8_0 in about a quarter. Models with a token per character
    cannot be written: no reader of GGUF knows them.
    """
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.core.names import check_name
    from tui_gpt.engine.interop.gguf_file import write_gguf

    path = output or Path(f"{check_name(name, 'model name')}.gguf")
    progress = ProgressLine()
    try:
        size = write_gguf(name, path, kind, progress)
    finally:
        progress.done()
    shown = one_line(str(path))
    click.echo(f'{shown} is written, {amount(size)}; try `llama-cli -m {shown} -no-cnv -p "..."`', err=True)


@command.command("rename")
@click.argument("name", shell_complete=model_names)
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Give a model another name."""
    from tui_gpt.core.model_handler import ModelHandler

    ModelHandler().rename(name, new_name)
    click.echo(f"{name} is now {new_name}", err=True)


@command.command("note")
@click.argument("name", shell_complete=model_names)
@click.argument("text")
def note(name: str, text: str) -> None:
    """Replace a model's notes by TEXT; - reads it from stdin."""
    from tui_gpt.cli.sample import checked, read_stdin
    from tui_gpt.core.model_handler import ModelHandler

    ModelHandler().note(name, read_stdin() if text == "-" else checked(text, "the note"))
    click.echo(f"{name}: noted", err=True)


@command.command("fork")
@click.argument("name", shell_complete=model_names)
@click.argument("new_name")
@click.option("--bf16", is_flag=True, help="Store the copy's weights in bf16: half the bytes of float32.")
def fork(name: str, new_name: str, bf16: bool) -> None:
    """Copy a model or an example, verified."""
    from tui_gpt.core.model_handler import ModelHandler

    change: Callable[[Path], None] | None = None
    if bf16:
        from tui_gpt.engine.interop.stored_precision import store_in_bf16

        change = store_in_bf16
    entry = ModelHandler().fork(name, new_name, change)
    click.echo(f"{new_name} is a copy of {name}, in {one_line(str(entry.folder))}", err=True)


@command.command("delete")
@click.argument("name", shell_complete=model_names)
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a model of the library, damaged or not."""
    from tui_gpt.core.model_handler import ModelHandler
    from tui_gpt.core.names import check_name

    check_name(name, "model name")
    if not yes:
        confirm(f"delete model {name} for good?")
    freed = ModelHandler().delete(name)
    click.echo(f"{name} is deleted; {amount(freed)} are free again", err=True)
