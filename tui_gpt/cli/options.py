"""Options that several commands share, and the way from them to a configuration."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from tui_gpt.cli import completion
from tui_gpt.core.config import RunConfig, SampleConfig, WritingPrecision, to_dict
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.safe_text import safe_text

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_PRESET = "quick"

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
checkpoint_option = click.option(
    "--checkpoint", metavar="best|last|STEP", help="Take this checkpoint of the run NAME instead of its best one."
)

precision_option = click.option(
    "--precision",
    type=click.Choice(get_args(WritingPrecision)),
    default="float32",
    show_default=True,
    help="What weights are kept in while text is written on the CPU; fewer bits are faster and less exact.",
)

guard_option = click.option(
    "--guard",
    metavar="NAME",
    shell_complete=completion.guard_names,
    help="Let this guard decide what the model is asked (see `tui-gpt guards list`).",
)

template_option = click.option(
    "--template",
    metavar="NAME",
    shell_complete=completion.template_names,
    help="Put what is asked into this template (see `tui-gpt templates list`).",
)
fill_option = click.option(
    "--fill",
    "fills",
    multiple=True,
    metavar="BLANK=TEXT",
    shell_complete=completion.fills,
    help="Fill a blank of the template. May be repeated.",
)


def help_without_command(context: click.Context) -> None:
    """For a group that was called without a command: its help, as something that was asked for."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def config_options(function: F) -> F:
    """--preset, --config and --set: the ways to a configuration."""
    for option in reversed(
        (
            click.option(
                "--preset",
                shell_complete=completion.preset_names,
                help="Start from a preset (see `tui-gpt config presets`).",
            ),
            click.option(
                "--config", "config_file", type=click.Path(path_type=Path), help="Read settings from a TOML file."
            ),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="SECTION.FIELD=VALUE",
                shell_complete=completion.settings,
                help="Set one field, e.g. train.learning_rate=1e-3 (see `tui-gpt config fields`). May be repeated.",
            ),
        )
    ):
        function = option(function)
    return function


def layers_of(
    preset: str | None, config_file: Path | None, settings: tuple[str, ...]
) -> list[tuple[str, dict[str, Any]]]:
    """The layers that these options stand for, the weakest first: a preset in any case. Raises ConfigError."""
    from tui_gpt.core.config_loading import parse_setting, read_toml

    layers = [_preset_layer(DEFAULT_PRESET if preset is None else preset)]
    if config_file is not None:
        layers.append((str(config_file), read_toml(config_file)))
    layers += [("--set", parse_setting(setting)) for setting in settings]
    return layers


def _preset_layer(name: str) -> tuple[str, dict[str, Any]]:
    from tui_gpt.core.presets import PRESETS, preset_config

    preset_config(name)  # says what there is when the name is none
    return f"preset {name}", PRESETS[name].tree


def configured(layers: list[tuple[str, dict[str, Any]]]) -> RunConfig:
    """The checked configuration that the layers make together. Raises ConfigError."""
    from tui_gpt.core.config_loading import build_config

    return build_config(*layers)


def overlay(section: str, **values: Any) -> tuple[str, dict[str, Any]]:
    """A layer from options that were given; those left out say nothing."""
    return "options", {section: {name: value for name, value in values.items() if value is not None}}


def sample_options(*left_out: str) -> Callable[[F], F]:
    """One option per field of SampleConfig, but for those left out; what was typed arrives under the field's name."""
    from tui_gpt.core.config_loading import field_docs

    metavars = {"integer": "INTEGER", "number": "NUMBER", "list of text": "TEXT"}

    def decorate(function: F) -> F:
        for doc in reversed(field_docs(SampleConfig)):
            name = doc.path.removeprefix("sample.")
            if name in left_out:
                continue
            several = doc.type == "list of text"
            hint = "May be repeated." if several else "" if doc.default is None else f"[default: {doc.default}]"
            function = click.option(
                f"--{name.replace('_', '-')}",
                name,
                multiple=several,
                metavar=metavars[doc.type],
                help=f"{doc.description} {hint}".rstrip(),
            )(function)
        return function

    return decorate


def sample_settings(base: SampleConfig, typed: Mapping[str, Any]) -> SampleConfig:
    """`base` with what was typed for some fields, checked. Raises ConfigError."""
    from tui_gpt.core.config_loading import convert

    return convert({**to_dict(base), **typed_settings(typed)}, SampleConfig, "sample")


def typed_settings(typed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of SampleConfig for which something was typed, as values. Raises ConfigError."""
    from tui_gpt.core.config_loading import field_docs, parse_value

    values: dict[str, Any] = {}
    for doc in field_docs(SampleConfig):
        name = doc.path.removeprefix("sample.")
        value = typed.get(name)
        if isinstance(value, str):
            values[name] = parse_value(doc, value)
        elif value:
            values[name] = list(value)
    return values


def confirm(question: str) -> None:
    """Ask on stderr. Raises TuiGptError unless the answer is yes, also where nobody can answer."""
    try:
        agreed = click.confirm(safe_text(question, newlines=False), err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)
        raise TuiGptError("nothing was done, because nobody is there to confirm it; give --yes") from None
    if not agreed:
        raise TuiGptError("nothing was done, as you wished")


def echo_json(value: Any, *, lines: bool = False) -> None:
    """One JSON document on stdout, on one line with `lines`; everything beyond ASCII escaped, NaN and infinity null."""
    import msgspec

    try:
        plain = _finite(msgspec.to_builtins(value, enc_hook=str))
        # DEL is the one control character that JSON leaves as it is.
        click.echo(json.dumps(plain, indent=None if lines else 2, allow_nan=False).replace("\x7f", "\\u007f"))
    except (TypeError, ValueError) as error:
        raise ConfigError("--json", f"cannot be shown as JSON: {error}") from None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
