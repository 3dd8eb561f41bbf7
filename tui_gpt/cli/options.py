"""Options that several commands share, and the way from them to a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tui_gpt.core.config import RunConfig
from tui_gpt.core.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def config_options(function: F) -> F:
    """--preset, --config and --set: the ways to a configuration."""
    for option in reversed(
        (
            click.option("--preset", help="Start from a preset (see `tui-gpt config presets`)."),
            click.option(
                "--config", "config_file", type=click.Path(path_type=Path), help="Read settings from a TOML file."
            ),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="SECTION.FIELD=VALUE",
                help="Set one field, e.g. train.learning_rate=1e-3 (see `tui-gpt config fields`). May be repeated.",
            ),
        )
    ):
        function = option(function)
    return function


def layers_of(
    preset: str | None, config_file: Path | None, settings: tuple[str, ...]
) -> list[tuple[str, dict[str, Any]]]:
    """The layers that these options stand for, the strongest last. Raises ConfigError."""
    from tui_gpt.core.config_loading import parse_setting, read_toml
    from tui_gpt.core.presets import find_preset

    layers: list[tuple[str, dict[str, Any]]] = []
    if preset is not None:
        layers.append((f"preset {preset}", find_preset(preset).tree))
    if config_file is not None:
        layers.append((str(config_file), read_toml(config_file)))
    layers += [("--set", parse_setting(setting)) for setting in settings]
    return layers


def configured(layers: list[tuple[str, dict[str, Any]]], default_preset: str = "quick") -> RunConfig:
    """The checked configuration of the layers, on top of the default preset where no preset leads."""
    from tui_gpt.core.config_loading import build_config
    from tui_gpt.core.presets import find_preset

    if not any(source.startswith("preset ") for source, _ in layers):
        layers = [(f"preset {default_preset}", find_preset(default_preset).tree), *layers]
    return build_config(*layers)


def overlay(section: str, **values: Any) -> tuple[str, dict[str, Any]]:
    """A layer from options that were given; those left out say nothing."""
    return "options", {section: {name: value for name, value in values.items() if value is not None}}


def echo_json(value: Any) -> None:
    """One JSON document on stdout, with everything beyond ASCII escaped where the terminal might obey it."""
    import msgspec

    try:
        click.echo(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2))
    except (TypeError, ValueError) as error:
        raise ConfigError("--json", f"cannot be shown as JSON: {error}") from None
