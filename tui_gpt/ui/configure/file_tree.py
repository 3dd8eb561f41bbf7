"""Files and folders as a tree, read in the background and never whole: a folder may be huge, or refuse to be read."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import NodeID, TreeNode

from tui_gpt.core import figures
from tui_gpt.core.safe_text import safe_text

MOST_ENTRIES = 1000
"""Of a folder that are listed; any other file is reached by typing its path."""
_MOST_LOOKED_AT = 20_000


class Entry(NamedTuple):
    """A line of a folder's listing."""

    path: Path
    is_folder: bool
    size: int
    """In bytes; 0 for a folder."""


class Listing(NamedTuple):
    """What is in a folder, folders first, and how much is left out or why it cannot be read."""

    entries: list[Entry]
    note: str


def list_folder(folder: Path, *, hidden: bool) -> Listing:
    """Look into a folder. Blocks on the disk."""
    entries: list[Entry] = []
    try:
        with os.scandir(folder) as found:
            names = [entry for entry in itertools.islice(found, _MOST_LOOKED_AT) if hidden or entry.name[:1] != "."]
            for entry in names:
                entries.append(_entry(entry))
    except OSError as error:
        return Listing([], f"cannot be read: {error.strerror or error}")
    entries.sort(key=lambda entry: (not entry.is_folder, entry.path.name.casefold()))
    left_out = len(entries) - MOST_ENTRIES
    note = f"{left_out:,} more here; type the path above" if left_out > 0 else "" if entries else "nothing here"
    return Listing(entries[:MOST_ENTRIES], note)


def _entry(entry: os.DirEntry[str]) -> Entry:
    try:
        is_folder = entry.is_dir()
        size = 0 if is_folder else entry.stat().st_size
    except OSError:
        is_folder, size = False, 0
    return Entry(Path(entry.path), is_folder, size)


class FileTree(Tree[Entry]):
    """Folders open on Enter; Enter on a file takes it. Backspace shows the folder above, `.` the hidden files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace", "parent", "Folder above", id="files.parent"),
        Binding("full_stop", "hidden", "Hidden files", id="files.hidden"),
    ]

    class Taken(Message):
        """A file was taken."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    class Looked(Message):
        """The cursor is on this file or folder."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    def __init__(self, folder: Path, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        root = Entry(folder, True, 0)
        super().__init__(_label(root, whole=True), root, id=id)
        self.hidden_files = False
        self._asked: dict[NodeID, object] = {}

    def on_mount(self) -> None:
        """Open where it stands."""
        self.root.expand()

    @property
    def folder(self) -> Path:
        """The folder at the top."""
        assert self.root.data is not None
        return self.root.data.path

    def go_to(self, folder: Path) -> None:
        """Put another folder at the top."""
        root = Entry(folder, True, 0)
        self.reset(_label(root, whole=True), root)
        self._open(self.root)
        self.root.expand()
        self.move_cursor(self.root)
        self.post_message(self.Looked(folder))

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Entry]) -> None:
        """Fill a folder when it is opened."""
        event.stop()
        if not event.node.children:
            self._open(event.node)

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Entry]) -> None:
        """Say where the cursor is."""
        event.stop()
        if event.node.data is not None:
            self.post_message(self.Looked(event.node.data.path))

    def on_tree_node_selected(self, event: Tree.NodeSelected[Entry]) -> None:
        """Take a file."""
        event.stop()
        entry = event.node.data
        if entry is not None and not entry.is_folder:
            self.post_message(self.Taken(entry.path))

    def action_parent(self) -> None:
        """The folder above the top one."""
        if self.folder.parent != self.folder:
            self.go_to(self.folder.parent)

    def action_hidden(self) -> None:
        """Show the files whose names begin with a dot, or no longer."""
        self.hidden_files = not self.hidden_files
        self.go_to(self.folder)

    def _open(self, node: TreeNode[Entry]) -> None:
        self.run_worker(self._fill(node), group="folders")

    async def _fill(self, node: TreeNode[Entry]) -> None:
        # Of several readings of a folder the one that was asked for last counts.
        asked = self._asked[node.id] = object()
        entry = node.data
        assert entry is not None
        listing = await asyncio.to_thread(list_folder, entry.path, hidden=self.hidden_files)
        if self._asked.get(node.id) is not asked:
            return
        node.remove_children()
        for start in range(0, len(listing.entries), 100):
            for child in listing.entries[start : start + 100]:
                if child.is_folder:
                    node.add(_label(child), child)
                else:
                    node.add_leaf(_label(child), child)
            await asyncio.sleep(0)
            if self._asked.get(node.id) is not asked:
                return
        if listing.note:
            node.add_leaf(Text(listing.note, style="dim italic"))


def _label(entry: Entry, *, whole: bool = False) -> Text:
    name = str(entry.path) if whole else entry.path.name
    size = "" if entry.is_folder else f"  {figures.memory(entry.size)}"
    return Text.assemble(safe_text(name, newlines=False), (size, "dim"))
