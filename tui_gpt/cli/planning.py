"""`tui-gpt config speed` and `config plan`: how fast this machine is, and what to train in so many minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import corpus_names
from tui_gpt.cli.corpus_input import given_corpus, mix_option, table_options
from tui_gpt.cli.options import config_options, configured, echo_json, json_option, layers_of, overlay
from tui_gpt.cli.tables import echo_pairs
from tui_gpt.core import figures

if TYPE_CHECKING:
    from tui_gpt.core.config import RunConfig
    from tui_gpt.core.sizes import DeviceKind
    from tui_gpt.engine.text.prepared import PreparedCorpus
    from tui_gpt.engine.training.calibration import Calibration

_PLAN_SECONDS = 3.0


@click.command("speed")
@click.argument("corpus", required=False, shell_complete=corpus_names)
@click.option("--seconds", type=click.FloatRange(0.1, 600.0), default=5.0, help="How long to train.", show_default=True)
@table_options
@config_options
@json_option
def speed(
    corpus: str | None,
    seconds: float,
    column: str | None,
    stdin_format: str | None,
    preset: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure how fast this machine trains a configuration, by really training for some seconds.

    With CORPUS it also tells how often that text would be read, and how much of it.
    """
    corpus = given_corpus(corpus, stdin_format)
    data = overlay("data", corpus=corpus, column=column)
    config = configured([*layers_of(preset, config_file, settings), data])
    train_tokens = None
    if corpus is not None:
        prepared = _prepared(config)
        train_tokens = round(prepared.epoch_tokens)
        if config.model.vocab_size is None:
            from tui_gpt.core.config_loading import with_vocabulary

            config = with_vocabulary(config, prepared.tokenizer.vocab_size)
    measured = _measure(config, seconds)
    if as_json:
        import dataclasses

        echo_json({**dataclasses.asdict(measured), **_exposure_tree(config, measured, train_tokens)})
        return
    echo_pairs(
        [
            ("speed", f"{measured.tokens_per_second:,.0f} tokens/s"),
            ("step", f"{measured.step_seconds * 1e3:,.1f} ms, median of {measured.steps}"),
            ("memory", figures.memory(measured.memory_bytes)),
            ("device", f"{measured.device_name}, {measured.precision}, {measured.threads} threads"),
            *(("", reason) for reason in measured.reasons),
            *_time_to_finish(config, measured, train_tokens),
        ]
    )


@click.command("plan")
@click.argument("corpus", required=False, shell_complete=corpus_names)
@click.option("--minutes", type=float, required=True, help="How long the training may take.")
@table_options
@mix_option
@config_options
@json_option
def plan(
    corpus: str | None,
    minutes: float,
    column: str | None,
    stdin_format: str | None,
    mix: tuple[str, ...],
    preset: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Choose a size and a recipe for so many minutes on this machine; prints TOML for `train --config`.

    \b
    Example:
      tui-gpt config plan book.txt --minutes 10 > plan.toml && tui-gpt train --config plan.toml
    """
    import psutil

    from tui_gpt.core.config import to_dict
    from tui_gpt.core.config_loading import build_config, to_toml
    from tui_gpt.core.planning import Measurement, speed_from
    from tui_gpt.core.planning import plan as choose
    from tui_gpt.core.sizes import flops_per_token

    corpus = given_corpus(corpus, stdin_format)
    data = overlay("data", corpus=corpus, mix=mix or None, column=column)
    config = configured([*layers_of(preset, config_file, settings), data])
    prepared = _prepared(config)
    vocabulary = prepared.tokenizer.vocab_size
    reference = build_config(("reference", to_dict(config)), ("tokenizer", {"model": {"vocab_size": vocabulary}}))
    measured = _measure(reference, _PLAN_SECONDS)
    known = Measurement(
        flops_per_token=flops_per_token(reference.model).training, tokens_per_second=measured.tokens_per_second
    )
    planned = choose(
        minutes,
        prepared.train.n_tokens,
        speed_from([known]),
        int(psutil.virtual_memory().available),
        vocab_size=vocabulary,
        precision="float32" if measured.precision == "float32" else "bf16",
        device=_kind(measured.device),
    )
    machine = {name: getattr(config.train, name) for name in ("device", "precision", "compile", "threads")}
    given = {"data": to_dict(config.data), "train": machine}
    result = build_config(("given", given), ("plan", planned.tree))
    if as_json:
        echo_json({"reason": planned.reason, "parameters": planned.n_parameters, "config": to_dict(result)})
        return
    click.echo(planned.reason, err=True)
    click.echo(to_toml(result, comments=False).rstrip("\n"))


def _prepared(config: RunConfig) -> PreparedCorpus:
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.engine.text.prepare import prepare

    progress = ProgressLine()
    try:
        return prepare(config.data, progress=progress, whole=False)
    finally:
        progress.done()


def _measure(config: RunConfig, seconds: float) -> Calibration:
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.engine.training.calibration import calibrate

    progress = ProgressLine()
    try:
        return calibrate(config, seconds, progress, lambda: False)
    finally:
        progress.done()


def _time_to_finish(config: RunConfig, measured: Calibration, train_tokens: int | None) -> list[tuple[str, str]]:
    from tui_gpt.core.exposure import in_words

    seconds = _seconds(config, measured, train_tokens)
    if seconds is None:
        return []
    rows = [("would take", f"{figures.duration(seconds)}, evaluations not counted")]
    if train_tokens:
        passes = seconds * measured.tokens_per_second / train_tokens
        rows.append(("text read", f"{passes:,.3g} times: {in_words(passes)}"))
    return rows


def _exposure_tree(config: RunConfig, measured: Calibration, train_tokens: int | None) -> dict[str, Any]:
    """How often a text that was counted would be read."""
    from tui_gpt.core.exposure import exposure

    seconds = _seconds(config, measured, train_tokens)
    if seconds is None or not train_tokens:
        return {}
    passes = seconds * measured.tokens_per_second / train_tokens
    return {"text_read": passes, "exposure": [part._asdict() for part in exposure(passes)]}


def _seconds(config: RunConfig, measured: Calibration, train_tokens: int | None) -> float | None:
    """How long the run would take; None for epochs of a text that nobody has counted."""
    from tui_gpt.core.errors import ConfigError
    from tui_gpt.core.sizes import time_to_finish

    try:
        return time_to_finish(config, measured.tokens_per_second, train_tokens)
    except ConfigError:
        return None


def _kind(device: str) -> DeviceKind:
    return "cuda" if device.startswith("cuda") else "mps" if device == "mps" else "cpu"
