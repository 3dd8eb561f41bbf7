"""The command palette's entries, made from the bindings: whatever a key does can be found by its name."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widget import Widget

from tui_gpt.ui.tabs import TABS

if TYPE_CHECKING:
    from tui_gpt.ui.app import TuiGpt


def commands_of(app: TuiGpt) -> Iterator[SystemCommand]:
    """Every action with a name: the app's own, then those of each tab, which is shown first when one is chosen."""
    for binding in _bindings(type(app)):
        yield _command(app, binding.description, binding, app.run_action)
    for info in TABS:
        body = info.load()
        for owner in (body, *body.PARTS_WITH_KEYS):
            for binding in _bindings(owner):
                run = functools.partial(_run_in_tab, app, info.name, None if owner is body else owner)
                yield _command(app, f"{info.title}: {binding.description}", binding, run)


def _bindings(node: type[DOMNode]) -> Iterator[Binding]:
    """Of the class and of ours that it is made from; Textual's own widgets have keys that need no names."""
    for owner in node.__mro__:
        for binding in vars(owner).get("BINDINGS", ()) if owner.__module__.startswith("tui_gpt.") else ():
            if isinstance(binding, Binding) and binding.description and binding.id:
                yield binding


def _command(app: TuiGpt, title: str, binding: Binding, run: object) -> SystemCommand:
    keys = app.get_key_display(binding) if "," not in binding.key else binding.key.replace(",", " or ")
    assert callable(run)
    return SystemCommand(title, binding.tooltip or f"key {keys}", functools.partial(run, binding.action))


async def _run_in_tab(app: TuiGpt, name: str, part: type[Widget] | None, action: str) -> None:
    body = await app.show_tab(name)
    await (body if part is None else body.query_one(part)).run_action(action)


def bindings_by_id() -> Iterator[tuple[str, str, str]]:
    """(id, key, description) of everything that config.toml can give another key."""
    from tui_gpt.ui.app import TuiGpt

    bodies = [info.load() for info in TABS]
    owners: list[type[DOMNode]] = [TuiGpt, *bodies, *(part for body in bodies for part in body.PARTS_WITH_KEYS)]
    for owner in owners:
        for binding in _bindings(owner):
            yield binding.id or "", binding.key, binding.description


if __name__ == "__main__":
    for name, key, description in sorted(bindings_by_id()):
        print(f"{name:<24}  {key:<28}  {description}")  # noqa: T201 - this is what it is run for
