"""The form as it is kept from one start to the next."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_gpt.ui.configure.form_state import DEFAULT_PRESET


class Remembered(msgspec.Struct, kw_only=True):
    """What `app.json` holds of the Configure tab."""

    preset: str = DEFAULT_PRESET
    changed: dict[str, str] = {}
    """Typed texts that differ from the preset, by field."""
    corpus: str = ""
    name: str = ""
    files: list[str] = []
    minutes: str = "10"
    calibrations: list[Any] = []


def remembered_from(tree: dict[str, Any]) -> Remembered:
    """What can be made of a tree that may be damaged, or of another version: each field by itself."""
    kept = Remembered()
    for field in msgspec.structs.fields(Remembered):
        if field.name in tree:
            try:
                setattr(kept, field.name, msgspec.convert(tree[field.name], field.type))
            except msgspec.ValidationError:
                continue
    return kept
