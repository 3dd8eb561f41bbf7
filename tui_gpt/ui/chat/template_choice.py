"""Choosing a template and filling its blanks: the list, and what stands in the blanks to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from textual.app import App

from tui_gpt.core.templates import Filled, FoundTemplate, Template, find_template, list_templates
from tui_gpt.ui.chat.picking import PickDialog, Row, among
from tui_gpt.ui.chat.template_dialog import TemplateDialog

_NONE = ":none"
"""As a key of the list: no template can have this name."""


class Choice(NamedTuple):
    """What was chosen: a filled template, or none any more."""

    template: Template | None
    filled: Filled | None


async def choose_template(app: App[None], current: str | None, draft: str, above: str) -> Choice | None:
    """Ask which template, and what is in its blanks; None where that was left. In a worker. Raises ConfigError.

    `current` is the one whose settings hold, `draft` what stands in the prompt, `above` a sentence about the text that
    the filled one goes on from.
    """
    rows = _rows(await asyncio.to_thread(list_templates), current)
    title = "Template: a prompt with blanks to fill"
    name = await app.push_screen_wait(PickDialog(title, "a part of its name", among(rows), "There is none."))
    if name is None:
        return None
    if name == _NONE:
        return Choice(None, None)
    template = await asyncio.to_thread(find_template, name)
    filled = await app.push_screen_wait(TemplateDialog(template, first_values(template, draft), above))
    return Choice(template, filled) if filled is not None else None


def _rows(found: Sequence[FoundTemplate], current: str | None) -> list[Row]:
    """The one whose settings hold comes first, to be filled again, and then what takes it back."""
    rows = [
        Row(
            template.name,
            template.name,
            f"{template.kind}  {template.title}" + ("" if template.origin == "built-in" else "  your own"),
            problem=template.problem,
        )
        for template in found
    ]
    if current is None:
        return rows
    back = Row(_NONE, "none", "the settings as they were before")
    return [*(row for row in rows if row.key == current), back, *(row for row in rows if row.key != current)]


def first_values(template: Template, draft: str) -> dict[str, str]:
    """What stands in the prompt already, where it is a line for the one open blank, or this very template, filled."""
    if not draft.strip():
        return {}
    values = template.read_back(draft)
    if values is None:
        blanks = template.open_blanks()
        values = {blanks[0]: draft} if len(blanks) == 1 else {}
    # What has several lines has no room in one.
    return {} if any("\n" in value for value in values.values()) else values
