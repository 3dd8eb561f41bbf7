"""`tui-gpt runs`: list, follow and steer training runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import run_names, settings
from tui_gpt.cli.options import confirm, echo_json, help_without_command, json_option, yes_option
from tui_gpt.cli.tables import echo_pairs, echo_table, one_line
from tui_gpt.core.errors import ConfigError, RunError, TuiGptError

if TYPE_CHECKING:
    from tui_gpt.core.runs.commands import CommandKind
    from tui_gpt.core.runs.store import DamagedRun, Run

_ACK_SECONDS = 60.0


@click.group("runs", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List, follow and steer training runs.

    A command reaches the trainer between two steps, and this program waits until it has answered.

    \b
    Examples:
      tui-gpt runs list
      tui-gpt runs follow bard
      tui-gpt runs save bard --as bard-early
      tui-gpt runs fork bard --checkpoint 500 --set train.learning_rate=3e-4
      tui-gpt runs show bard --json
    """
    help_without_command(context)


@command.command("list")
@json_option
def list_runs(as_json: bool) -> None:
    """All runs, newest first."""
    from tui_gpt.core.runs.store import DamagedRun, RunStore

    found = RunStore().list()
    if as_json:
        echo_json([_damaged(run) if isinstance(run, DamagedRun) else run.summary() for run in found])
        return
    if not found:
        click.echo("there are no runs yet; `tui-gpt train stories --minutes 1` makes one", err=True)
        return
    rows: list[tuple[str, ...]] = [("NAME", "STATE", "STEP", "LOSS", "VALIDATION", "BEST", "CORPUS", "CREATED")]
    for run in found:
        if isinstance(run, DamagedRun):
            rows.append((run.name, "damaged", "", "", "", "", "", ""))
            continue
        summary = run.summary()
        of = f"/{summary.total_steps}" if summary.total_steps else ""
        losses = [
            "" if loss is None else f"{loss:.4f}"
            for loss in (summary.train_loss, summary.val_loss, summary.best_val_loss)
        ]
        created = summary.created[:16].replace("T", " ")
        rows.append((run.name, summary.state, f"{summary.step}{of}", *losses, summary.corpus, created))
    echo_table(rows)


def _damaged(run: DamagedRun) -> dict[str, str]:
    return {"name": run.name, "state": "damaged", "problem": run.problem}


@command.command("show")
@click.argument("name", shell_complete=run_names)
@json_option
def show(name: str, as_json: bool) -> None:
    """What a run is, where it stands, and what it holds."""
    from tui_gpt.cli.following import status_line
    from tui_gpt.core.runs.store import RunStore

    run = RunStore().open(name)
    checkpoints = [
        {"step": c.step, "tags": " ".join(sorted(c.tags)), "folder": str(c.folder)} for c in run.checkpoints()
    ]
    if as_json:
        echo_json(
            {
                "summary": run.summary(),
                "record": run.record,
                "status": run.status(),
                "execution": run.execution(),
                "checkpoints": checkpoints,
                "folder": str(run.folder),
                "logs": [str(path) for path in run.log_files()],
            }
        )
        return
    status, record, execution = run.status(), run.record, run.execution()
    model, data = record.config.model, record.data
    about = "about " if data.is_estimated else ""
    compiled = ", compiled" if execution and execution.compile else ""
    pairs = [
        ("error", status.error if status and status.error else ""),
        *(("warning", warning) for warning in (status.warnings if status else ())),
        ("corpus", f"{data.source}, {about}{data.n_train_tokens:,} + {data.n_validation_tokens:,} tokens"),
        ("tokenizer", f"{data.tokenizer}, {data.vocab_size} tokens"),
        ("model", f"{model.family}, {model.n_layer} layers x {model.n_embd}, context {model.n_positions}"),
        (
            "device",
            f"{execution.device_name}, {execution.precision}{compiled}, {execution.threads} threads"
            if execution
            else "",
        ),
        ("begins from", record.parent or ""),
        ("folder", str(run.folder)),
        *(("checkpoint", f"step {c['step']}  {c['tags']}") for c in checkpoints),
    ]
    click.echo(f"{run.name}: {status_line(run.summary())}")
    echo_pairs([(label, one_line(value)) for label, value in pairs if value])


@command.command("follow")
@click.argument("name", shell_complete=run_names)
@click.option("--no-samples", is_flag=True, help="Leave out the sample texts.")
@json_option
def follow_run(name: str, no_samples: bool, as_json: bool) -> None:
    """Watch a run from its beginning to its end. Ctrl-C ends the watching, not the run."""
    from tui_gpt.cli.following import Narrator, follow
    from tui_gpt.core.runs.store import RunStore

    run = RunStore().open(name)
    try:
        summary = follow(run, Narrator(samples=not no_samples), while_heard=not as_json)
    except KeyboardInterrupt:
        click.echo(f"{name} goes on by itself", err=True)
        raise
    if as_json:
        echo_json(summary)
    elif summary.state == "failed":
        raise RunError(f"run {name} failed: {summary.error or 'see its log'}")
    else:
        click.echo(f"{name}: {summary.state} at step {summary.step}", err=True)


def _steer(run_name: str, kind: CommandKind, **arguments: Any) -> None:
    """Send a command and wait for what becomes of it. Raises RunError when it is refused or nobody answers."""
    from tui_gpt.core.runs.store import RunStore
    from tui_gpt.core.safe_text import safe_text

    run = RunStore().open(run_name)
    state = run.effective_state()
    if state in ("new", "stopped", "finished", "failed", "interrupted"):
        raise RunError(
            f"run {run_name} is {state}, so no trainer hears it; `tui-gpt runs resume {run_name}` starts one"
        )
    sent = run.send(kind, {key: value for key, value in arguments.items() if value is not None}, sender="command line")
    ack = run.wait_for_ack(sent, _ACK_SECONDS)
    if ack is None and kind == "stop" and run.liveness() == "dead":
        click.echo(f"{run_name}: has ended, {run.effective_state()}", err=True)
        return
    if ack is None:
        raise RunError(f"the trainer of {run_name} did not answer; `tui-gpt runs show {run_name}` tells how it is")
    if ack.outcome != "done":
        raise RunError(f"{run_name}: {safe_text(ack.message, newlines=False)}")
    click.echo(f"{run_name}: {safe_text(ack.message, newlines=False)}", err=True)


@command.command("pause")
@click.argument("name", shell_complete=run_names)
def pause(name: str) -> None:
    """Hold a run; its model stays in memory."""
    _steer(name, "pause")


@command.command("step")
@click.argument("name", shell_complete=run_names)
@click.option("--count", type=click.IntRange(1), default=1, help="How many steps.")
def step(name: str, count: int) -> None:
    """Let a paused run make single steps."""
    _steer(name, "step", count=count)


@command.command("stop")
@click.argument("name", shell_complete=run_names)
def stop(name: str) -> None:
    """End a run with a checkpoint; it can be resumed."""
    _steer(name, "stop")


@command.command("save")
@click.argument("name", shell_complete=run_names)
@click.option("--as", "model", help="Put the model into the library under this name; without it a checkpoint is kept.")
def save(name: str, model: str | None) -> None:
    """Keep a run's weights as they are now."""
    from tui_gpt.core.runs.store import RunStore

    run = RunStore().open(name)
    if run.liveness() != "dead":
        _steer(name, "save", name=model)
        return
    if model is None:
        raise RunError(
            f"run {name} is not training, so its newest checkpoint is kept already; give --as to make a model of it"
        )
    from tui_gpt.engine.training.publishing import publish_ended_run

    entry = publish_ended_run(run, model)
    click.echo(f"{name}: saved as model {entry.name}", err=True)


@command.command("set-lr")
@click.argument("name", shell_complete=run_names)
@click.option("--factor", type=float, help="Multiply the peak learning rate.")
@click.option("--value", type=float, help="Set AdamW's peak learning rate; Muon's changes in the same proportion.")
def set_learning_rate(name: str, factor: float | None, value: float | None) -> None:
    """Change the learning rate of a run in progress."""
    if (factor is None) == (value is None):
        raise click.UsageError("give either --factor or --value")
    _steer(name, "set_lr", factor=factor, value=value)


@command.command("resume")
@click.argument("name", shell_complete=run_names)
@click.option("--lr-factor", type=click.FloatRange(0.0, 1e6), help="Multiply the learning rate from here on.")
@click.option("--detach", is_flag=True, help="Return when the trainer trains.")
@json_option
def resume(name: str, lr_factor: float | None, detach: bool, as_json: bool) -> int:
    """Go on: with a paused run, or from the newest intact checkpoint of one that has ended."""
    from tui_gpt.core.runs.store import RunStore

    if lr_factor is not None and not math.isfinite(lr_factor):
        raise click.UsageError(f"--lr-factor takes a number, not {lr_factor}")
    run = RunStore().open(name)
    if run.liveness() != "dead":
        if lr_factor is not None:
            _steer(name, "set_lr", factor=lr_factor)
        _steer(name, "resume")
        return 0
    return _train_on(run, lr_factor, detach=detach, as_json=as_json)


def _train_on(run: Run, lr_factor: float | None = None, *, detach: bool, as_json: bool) -> int:
    """Start a trainer for a run that has none, and watch it unless `detach`. Returns the exit code."""
    from tui_gpt.cli.following import Narrator
    from tui_gpt.cli.train import watch
    from tui_gpt.core.runs.launch import wait_until_started
    from tui_gpt.core.runs.steering import resume_ended

    reader = run.reader()
    reader.poll()  # what was before is known
    process = resume_ended(run, lr_factor)
    if detach:
        wait_until_started(run.folder, process, _ACK_SECONDS)
        click.echo(f"{run.name} trains by itself; `tui-gpt runs follow {run.name}` shows how it goes", err=True)
        if as_json:
            echo_json(run.summary())
        return 0
    return watch(run, process, Narrator(), reader, as_json=as_json)


@command.command("fork")
@click.argument("name", shell_complete=run_names)
@click.option("--as", "new_name", metavar="NEW", help="Name of the fork, and of its model when it is done.")
@click.option(
    "--checkpoint", metavar="best|last|STEP", help="Part from this checkpoint instead of the newest intact one."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="TRAIN.FIELD=VALUE",
    shell_complete=settings,
    help="Train on with this field changed, e.g. train.learning_rate=3e-4. May be repeated.",
)
@click.option("--detach", is_flag=True, help="Return when the trainer trains.")
@json_option
def fork(
    name: str, new_name: str | None, checkpoint: str | None, changes: tuple[str, ...], detach: bool, as_json: bool
) -> int:
    """Make a new run from a checkpoint of run NAME, and train it on; NAME stays as it is.

    NAME may be training, stopped or finished. The text, the network and the saved state are NAME's; fields of the train
    section can change, but for what the saved state depends on.

    \b
    Examples:
      tui-gpt runs fork book --set train.max_steps=4000
      tui-gpt runs fork book --as gentle --checkpoint best --set train.learning_rate=3e-4
    """
    from tui_gpt.core.config_loading import parse_setting
    from tui_gpt.core.runs.store import RunStore
    from tui_gpt.engine.training.forking import fork_run

    changed: dict[str, Any] = {}
    for setting in changes:
        for section, fields in parse_setting(setting).items():
            if section != "train":
                raise ConfigError(
                    f"{section}.{next(iter(fields))}",
                    "cannot change in a fork, which goes on with the same network and text; only train.* can",
                )
            changed |= fields
    run = fork_run(RunStore().open(name), new_name, checkpoint=checkpoint, changes=changed)
    click.echo(f"{run.name}: {run.record.parent}", err=True)
    return _train_on(run, detach=detach, as_json=as_json)


@command.command("delete")
@click.argument("name", shell_complete=run_names)
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a run with its checkpoints; models in the library stay."""
    from tui_gpt.core.runs.store import RunStore

    store = RunStore()
    if not yes:
        confirm(f"delete run {name} and its checkpoints for good?")
    freed = store.delete(name)
    click.echo(f"{name} is deleted; {freed / 1e6:.1f} MB are free again", err=True)


@command.command("rename")
@click.argument("name", shell_complete=run_names)
@click.argument("new_name")
def rename(name: str, new_name: str) -> None:
    """Give a run that is not training another name."""
    from tui_gpt.core.runs.store import RunStore

    RunStore().rename(name, new_name)


@command.command("log")
@click.argument("name", shell_complete=run_names)
def log(name: str) -> None:
    """Print the newest log of a run."""
    from tui_gpt.core.runs.store import RunStore
    from tui_gpt.core.safe_text import safe_text

    logs = RunStore().open(name).log_files()
    if not logs:
        raise RunError(f"run {name} has no log yet")
    try:
        lines = logs[-1].open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise TuiGptError(f"{logs[-1]} cannot be read: {error.strerror}") from None
    with lines:
        for line in lines:
            click.echo(safe_text(line.rstrip("\n"), newlines=False))


@command.command("metrics")
@click.argument("name", shell_complete=run_names)
def metrics(name: str) -> None:
    """Print every metric record as JSON lines, resumed segments joined."""
    from tui_gpt.core.runs.metrics import read_all
    from tui_gpt.core.runs.store import RunStore

    for record in read_all(RunStore().open(name).folder):
        echo_json(record, lines=True)
