"""What the shell offers after Tab: names that exist, and fields of the configuration with their values."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from tui_gpt.core.errors import TuiGptError

_ENDS = ("true", "false")


def _beginning(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _can_be_named(name: str) -> bool:
    """Whether commands take this name: what else lies in the folders, shells would show with its control sequences."""
    from tui_gpt.core.names import check_name

    try:
        return bool(check_name(name))
    except TuiGptError:
        return False


def _models() -> list[str]:
    from tui_gpt.core.model_handler import ModelHandler

    try:
        return [entry.name for entry in ModelHandler().list() if _can_be_named(entry.name)]
    except TuiGptError:
        return []


def _runs() -> list[str]:
    from tui_gpt.core.runs.store import RunStore

    try:
        return [run.name for run in RunStore().list() if _can_be_named(run.name)]
    except TuiGptError:
        return []


def model_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models of the library, and the examples."""
    return _beginning(_models(), incomplete)


def run_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Runs."""
    return _beginning(_runs(), incomplete)


def source_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What can write: models and runs by name, or a folder."""
    if "/" in incomplete:
        return [CompletionItem(incomplete, type="dir")]
    return _beginning(list(dict.fromkeys([*_models(), *_runs()])), incomplete)


def corpus_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Built-in corpora by name; files and folders where none fits."""
    from tui_gpt.core.corpora import CATALOGUE

    return _beginning(list(CATALOGUE), incomplete) or [CompletionItem(incomplete, type="file")]


def preset_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Presets with their titles."""
    from tui_gpt.core.presets import PRESETS

    return [CompletionItem(p.name, help=p.title) for p in PRESETS.values() if p.name.startswith(incomplete)]


def guard_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Guards: built-in ones, files of the home folder, plug-ins."""
    from tui_gpt.core.guards import guard_names as names

    return _beginning(names(), incomplete)


def template_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Templates: built-in ones and files of the home folder."""
    from tui_gpt.core.templates import template_names as names

    return _beginning(names(), incomplete)


def fills(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`blank=` for `--fill`, of the template that was named before it."""
    from tui_gpt.core.safe_text import safe_text
    from tui_gpt.core.templates import find_template

    try:
        blanks = find_template(str(ctx.params.get("template") or "")).blanks
    except TuiGptError:
        return []
    return [
        CompletionItem(f"{name}=", help=safe_text(blank.about, newlines=False))
        for name, blank in blanks.items()
        if name.startswith(incomplete)
    ]


def size_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The published GPT-2 sizes."""
    from tui_gpt.core.published import PUBLISHED

    return _beginning(list(PUBLISHED), incomplete)


def settings(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`section.field=` for `--set`, then the values where they can be counted."""
    from tui_gpt.core.config_loading import field_docs

    docs = field_docs()
    path, equals, typed = incomplete.partition("=")
    if not equals:
        return [CompletionItem(f"{doc.path}=", help=doc.description) for doc in docs if doc.path.startswith(path)]
    values = next((doc.choices or (_ENDS if doc.type == "yes/no" else ()) for doc in docs if doc.path == path), ())
    return [CompletionItem(f"{path}={value}") for value in values if value.startswith(typed)]
