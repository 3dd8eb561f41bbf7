"""Choosing a file or a folder to learn from: texts, tables of documents, compressed or not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Static

from tui_gpt.core.corpora import CATALOGUE
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.configure.file_tree import FileTree
from tui_gpt.ui.configure.typed_text import escaped, unescaped
from tui_gpt.ui.dialogs.dialog import Dialog


class FileDialog(Dialog[str]):
    """Dismissed with a path, or with None. The line on top holds the path that the button takes."""

    DEFAULT_CSS = """
    FileDialog > .panel { width: 90; height: 90%; }
    FileDialog #path { background: $foreground 8%; }
    FileDialog FileTree { height: 1fr; background: $surface; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "take", "Take it", id="files.take"),
    ]

    def __init__(self, folder: Path) -> None:
        """`folder` is where to begin."""
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        """The path, the tree, what is wrong, and two buttons."""
        with Vertical(classes="panel") as panel:
            panel.border_title = Content("A text file, or a folder of them")
            yield Static(
                "Enter opens a folder and takes a file; backspace: the folder above; '.': hidden files; ctrl+o takes "
                "what stands in the line, a folder too.",
                classes="detail",
                markup=False,
            )
            yield Input(
                escaped(str(self._folder)), placeholder="a path", id="path", compact=True, select_on_focus=False
            )
            yield FileTree(self._folder, id="files")
            yield Static("", classes="problem", markup=False)
            with Horizontal(classes="answers"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Take it", id="take", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Ready to look around."""
        self.query_one(FileTree).focus()

    def on_file_tree_looked(self, event: FileTree.Looked) -> None:
        """The line follows the cursor."""
        event.stop()
        if not self.query_one("#path", Input).has_focus:
            self.query_one("#path", Input).value = escaped(str(event.path))
            self._say("")

    def on_file_tree_taken(self, event: FileTree.Taken) -> None:
        """Enter on a file."""
        event.stop()
        self.dismiss(str(event.path))

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """A typed path: a file is taken, a folder is shown."""
        event.stop()
        path = self._path()
        match await asyncio.to_thread(_kind, path):
            case "file":
                self.dismiss(str(path))
            case "folder":
                tree = self.query_one(FileTree)
                tree.focus()
                tree.go_to(path)
                self._say("")
            case problem:
                self._say(problem)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two buttons."""
        event.stop()
        if event.button.id == "take":
            self.action_take()
        else:
            self.dismiss(None)

    def action_take(self) -> None:
        """Take what stands in the line."""
        self._take()

    @work(exclusive=True)
    async def _take(self) -> None:
        path = self._path()
        kind = await asyncio.to_thread(_kind, path)
        if kind in ("file", "folder"):
            self.dismiss(str(path))
        else:
            self._say(kind)

    def _path(self) -> Path:
        return Path(unescaped(self.query_one("#path", Input).value.strip()))

    def _say(self, problem: str) -> None:
        self.query_one(".problem", Static).update(Content(safe_text(problem, newlines=False)))


def _kind(path: Path) -> str:
    """`file`, `folder`, or a sentence that says why it is neither. Blocks on the disk."""
    try:
        full = path.expanduser()
        if full.is_dir():
            return "folder"
        if full.is_file():
            return "file"
        return f"there is no file or folder {path}" if not full.exists() else f"{path} is neither a file nor a folder"
    except (OSError, ValueError, RuntimeError) as error:
        return f"{path} cannot be looked at: {error}"


def folder_of(corpus: str) -> Path:
    """Where to look for another file: beside the present one, else in the current folder. Blocks on the disk."""
    try:
        path = Path(corpus).expanduser().absolute()
        if corpus not in CATALOGUE and path.exists():
            return path if path.is_dir() else path.parent
    except (OSError, ValueError, RuntimeError):
        pass
    return Path.cwd()
