"""The tabs, each in a module of its own that is imported when the tab is first shown."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from tui_gpt.ui.tabs.tab import TabBody


class TabInfo(NamedTuple):
    """Where a tab comes from, without importing it."""

    name: str
    title: str
    key: str
    """Its function key; its number works too where no text field has the focus."""
    module: str
    class_name: str

    def load(self) -> type[TabBody]:
        """The class of the tab's body."""
        found: type[TabBody] = getattr(importlib.import_module(self.module), self.class_name)
        return found


TABS: tuple[TabInfo, ...] = (
    TabInfo("configure", "Configure", "f2", "tui_gpt.ui.tabs.configure", "ConfigureTab"),
    TabInfo("train", "Train", "f3", "tui_gpt.ui.tabs.train", "TrainTab"),
    TabInfo("models", "Models", "f4", "tui_gpt.ui.tabs.models", "ModelsTab"),
    TabInfo("chat", "Chat", "f6", "tui_gpt.ui.tabs.chat", "ChatTab"),
)
