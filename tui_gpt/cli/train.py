"""`tui-gpt train`: begin a run, start its trainer, and watch."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import corpus_names, model_names
from tui_gpt.cli.corpus_input import given_corpus, mix_option, table_options
from tui_gpt.cli.options import config_options, configured, echo_json, layers_of, overlay
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text

if TYPE_CHECKING:
    from tui_gpt.cli.following import Narrator
    from tui_gpt.core.runs.launch import TrainerProcess
    from tui_gpt.core.runs.metrics import MetricsReader
    from tui_gpt.core.runs.store import Run

_START_SECONDS = 120.0


@click.command(
    "train",
    epilog="Ctrl-C saves a checkpoint and ends the run (130); `tui-gpt runs resume NAME` goes on from there.",
)
@click.argument("corpus", required=False, shell_complete=corpus_names)
@click.option("--name", help="Name of the run, and of its model when it is done.")
@click.option(
    "--from",
    "origin",
    metavar="MODEL",
    shell_complete=model_names,
    help="Train a model of the library on: its weights, tokenizer and shape.",
)
@click.option(
    "--lora",
    "lora_rank",
    type=int,
    metavar="RANK",
    help="With --from: train low-rank adapters of this rank, and leave the model's weights as they are.",
)
@click.option("--minutes", type=float, help="Train for so many minutes.")
@click.option("--steps", type=int, help="Train for so many optimizer steps.")
@click.option("--epochs", type=float, help="Train until the text was seen so many times.")
@click.option("--tokenizer", type=click.Choice(["auto", "char", "bpe", "gpt2"]), help="How text becomes tokens.")
@click.option("--encoding", help="Encoding of the text files (auto: by byte-order mark, else UTF-8).")
@click.option("--errors", type=click.Choice(["strict", "replace"]), help="What to do with bytes that do not decode.")
@table_options
@mix_option
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--nproc", type=click.IntRange(1, 1024), default=1, help="Processes, one per device, under torchrun.")
@click.option("--detach", is_flag=True, help="Return when the trainer trains; it goes on by itself.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's state at the end as JSON on stdout.")
@config_options
def command(
    corpus: str | None,
    name: str | None,
    origin: str | None,
    lora_rank: int | None,
    minutes: float | None,
    steps: int | None,
    epochs: float | None,
    tokenizer: str | None,
    encoding: str | None,
    errors: str | None,
    column: str | None,
    stdin_format: str | None,
    mix: tuple[str, ...],
    device: str | None,
    nproc: int,
    detach: bool,
    as_json: bool,
    preset: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
) -> int:
    """Train a model on CORPUS: a file, a folder, a corpus of `tui-gpt corpora list`, hub:owner/name for a data set of
    the Hugging Face Hub, or - for stdin.

    A file is text, or a table of which every row is a document: JSON Lines, CSV, Parquet. Either may be compressed
    (.gz, .zst).

    \b
    Examples:
      tui-gpt train book.txt --minutes 10 --name book
      tui-gpt train stories --preset tiny --steps 500
      tui-gpt train reviews.jsonl.gz --column body --minutes 10
      tui-gpt train tinystories --minutes 10 --set data.max_documents=200000
      tui-gpt train stories --mix python-docs=0.25 --mix book.txt=0.1
      tui-gpt train . --set model.n_layer=6 --set train.learning_rate=1e-3 --detach
      tui-gpt train more.txt --from book --minutes 5
      tui-gpt train more.txt --from gpt2 --lora 8 --minutes 30
    """
    from tui_gpt.cli.following import Narrator, ProgressLine
    from tui_gpt.core.presets import FINE_TUNING
    from tui_gpt.core.runs.launch import launch_trainer, wait_until_started
    from tui_gpt.core.runs.standby import StandbyTrainer
    from tui_gpt.engine.training.begin import begin_run
    from tui_gpt.engine.training.origins import is_made_elsewhere

    corpus = given_corpus(corpus, stdin_format)
    layers = [
        *layers_of(preset, config_file, settings),
        overlay(
            "data",
            corpus=corpus,
            mix=mix or None,
            tokenizer=tokenizer,
            encoding=encoding,
            errors=errors,
            column=column,
        ),
        overlay("train", max_minutes=minutes, max_steps=steps, max_epochs=epochs, device=device, lora_rank=lora_rank),
    ]
    if origin is not None:
        _refuse_what_comes_with_the_model(settings, tokenizer)
        if preset is None and is_made_elsewhere(origin):
            layers.insert(1, ("fine-tuning", FINE_TUNING))
        layers = _with_own_data(layers, origin)
    config = configured(layers)
    if config.train.device not in ("auto", "cpu"):
        # Asked before a run is made, which would keep its name; only then is the wait for torch worth it.
        from tui_gpt.engine.training.devices import choose_device

        choose_device(config.train.device)
    if nproc > 1 and config.train.device == "mps":
        raise ConfigError("--nproc", "is for CUDA devices and CPUs; there is one Apple GPU")
    progress = ProgressLine()
    narrator = Narrator()
    # It imports torch while the text is being prepared.
    with StandbyTrainer() if nproc == 1 else nullcontext() as standby:
        try:
            run = begin_run(config, name, processes=nproc, progress=progress, origin=origin)
        finally:
            progress.done()
        narrator.line(safe_text(_description(run), newlines=False))
        process = launch_trainer(run.folder, nproc=nproc, standby=standby)
    if detach:
        wait_until_started(run.folder, process, _START_SECONDS)
        narrator.line(f"{run.name} trains by itself; `tui-gpt runs follow {run.name}` shows how it goes")
        if as_json:
            echo_json(run.summary())
        return 0
    return watch(run, process, narrator, as_json=as_json)


def _refuse_what_comes_with_the_model(settings: tuple[str, ...], tokenizer: str | None) -> None:
    """Raise ConfigError for settings that would say what only the model of --from can say."""
    fields = ["--tokenizer"] if tokenizer is not None else []
    fields += [setting.partition("=")[0].strip() for setting in settings]
    for field in fields:
        if field == "model.dropout":
            continue
        if field.startswith("model.") or field in ("--tokenizer", "data.tokenizer", "data.bpe_vocab_size"):
            raise ConfigError(
                field,
                "comes with the model of --from, of which only model.dropout can change; leave it out, or train a new "
                "model without --from",
            )


def _with_own_data(layers: list[tuple[str, dict[str, Any]]], origin: str) -> list[tuple[str, dict[str, Any]]]:
    """The layers, with the text that the model was trained on above the preset where nothing names another."""
    from tui_gpt.engine.training.origins import origin_data

    preset, *typed = layers
    if any("corpus" in tree.get("data", {}) for _, tree in typed):
        return layers
    return [preset, (f"model {origin}", {"data": origin_data(origin)}), *typed]


def watch(
    run: Run, process: TrainerProcess, narrator: Narrator, reader: MetricsReader | None = None, *, as_json: bool
) -> int:
    """Follow a trainer of our own to its end; SIGINT and SIGTERM are passed on to it. Returns the exit code."""
    from tui_gpt.cli.following import follow
    from tui_gpt.core.errors import RunError
    from tui_gpt.core.runs.ownership import describe, signal_trainer

    received: list[int] = []

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        try:
            signal_trainer(run.folder, signum)
        except RunError:
            # It does not hold its lock yet, or has just ended: then the process itself hears it.
            process.send_signal(signum)

    told: list[int] = []

    def has_ended() -> bool:
        if received and not told:
            told.append(received[0])
            narrator.line(f"{run.name} ends after this step, with a checkpoint; a second signal ends it at once")
        return process.poll() is not None

    before = {signum: signal.signal(signum, pass_on) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        summary = follow(run, narrator, reader, ended=has_ended)
        code = process.wait()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if as_json:
        echo_json(summary)
    if summary.state == "failed":
        raise RunError(f"run {run.name} failed: {summary.error or 'see its log'}")
    if received:
        # A second signal ends the trainer at once, and a full disk takes no checkpoint: only what is there is promised.
        saved = (
            "nothing of it is saved" if summary.last_checkpoint is None else f"saved at step {summary.last_checkpoint}"
        )
        narrator.line(f"{run.name} has ended, {saved}; `tui-gpt runs resume {run.name}` goes on from there")
        return 128 + received[0]
    if summary.state == "finished":
        narrator.line(safe_text(_farewell(run), newlines=False))
        return 0
    if summary.state == "stopped":
        narrator.line(f"{run.name} was stopped at step {summary.step}; `tui-gpt runs resume {run.name}` goes on")
        return 0
    if run.liveness() != "dead":
        raise RunError(
            f"{run.name} is being trained by {describe(run.owner())}, which began at the same time; `tui-gpt runs "
            f"follow {run.name}` shows how it goes"
        )
    log = next(iter(reversed(run.log_files())), run.folder)
    raise RunError(
        f"the trainer of {run.name} ended unexpectedly (exit code {code}); `tui-gpt runs resume {run.name}` goes on "
        f"from its last checkpoint, and {log} has its last words"
    )


def _description(run: Run) -> str:
    from tui_gpt.core.sizes import parameters, trained_parameters

    record = run.record
    model, data, train = record.config.model, record.data, record.config.train
    ends = (("minute", train.max_minutes), ("step", train.max_steps), ("epoch", train.max_epochs))
    unit, count = next((unit, count) for unit, count in ends if count is not None)
    end = f"{count:g} {unit}{'' if count == 1 else 's'}"
    about = "about " if data.is_estimated else ""
    continued = f" from {record.parent}" if record.parent else ""
    lora = f" ({trained_parameters(model, train) / 1e6:.2f} M learn, by LoRA)" if train.lora_rank else ""
    return (
        f"{run.name}{continued}: {model.family}, {model.n_layer} layers x {model.n_embd}, context {model.n_positions}, "
        f"{parameters(model).total / 1e6:.2f} M parameters{lora}; {data.source}, {about}{data.n_train_tokens:,} tokens "
        f"({data.tokenizer}, {data.vocab_size}); {end}"
    )


def _farewell(run: Run) -> str:
    from tui_gpt.core.runs.metrics import read_all

    ends = [record for record in read_all(run.folder) if record.kind == "end"]
    model = ends[-1].values.get("model") if ends else None
    if not model:
        status = run.status()
        why = f" ({status.warnings[-1]})" if status and status.warnings else ""
        return f"done, but no model is in the library{why}; `tui-gpt runs save {run.name} --as NAME` makes it one"
    return (
        f'done: model {model} is in the library; try `tui-gpt sample {model} --prompt "..."` or `tui-gpt chat {model}`'
    )
