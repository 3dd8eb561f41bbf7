"""What can be done with the chosen model: each key's action, its questions, and what is said afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from textual import work
from textual.binding import Binding

from tui_gpt.core import figures
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.messages import Answer, Export, Exported, Import, Progress, Published
from tui_gpt.core.model_handler import ModelEntry
from tui_gpt.core.names import name_from
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.ask_text import AskText, name_check
from tui_gpt.ui.dialogs.choice import confirm
from tui_gpt.ui.dialogs.explanation import Explanation, ExplanationDialog
from tui_gpt.ui.models.import_dialog import ImportDialog, Wanted
from tui_gpt.ui.models.note_dialog import NoteDialog
from tui_gpt.ui.models.shelf import ModelRow
from tui_gpt.ui.session_client import SessionError
from tui_gpt.ui.tabs.tab import TabBody

T = TypeVar("T")

_INCOMING = "an import"
"""Under which name an import is going on: no model can have it."""


class ModelActions(TabBody):
    """The actions of the Models tab; the tab itself knows which model is chosen and shows what has changed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.doing: dict[str, str] = {}
        """What goes on with models in the background, by their names."""
        self._verified: dict[str, tuple[tuple[object, ...], str]] = {}

    # ---- what the tab gives

    @property
    def chosen(self) -> ModelRow | None:
        """The model that the actions mean."""
        raise NotImplementedError

    def names(self) -> set[str]:
        """The names that are taken."""
        raise NotImplementedError

    async def reread(self, choose: str | None = None) -> None:
        """Look at the disk again, and put the cursor on `choose`."""
        raise NotImplementedError

    def show_chosen(self) -> None:
        """Show what has become known about the chosen model."""
        raise NotImplementedError

    def show_doing(self) -> None:
        """Show what goes on in the background."""
        raise NotImplementedError

    # ---- what can be done with a model

    @work(group="models-open", exclusive=True)
    async def action_talk(self) -> None:
        """Load it into Chat."""
        row = self._usable()
        if row is not None:
            from tui_gpt.ui.tabs.chat import ChatTab

            tab = await self.gpt.show_tab("chat")
            assert isinstance(tab, ChatTab)
            tab.choose_model(row.name)

    @work(group="models-open", exclusive=True)
    async def action_go_on(self) -> None:
        """Configure a run that begins with its weights."""
        row = self._usable()
        if row is not None:
            from tui_gpt.ui.tabs.configure import ConfigureTab

            tab = await self.gpt.show_tab("configure")
            assert isinstance(tab, ConfigureTab)
            tab.begin_from(row.name)

    @work
    async def action_fork(self) -> None:
        """Copy it under another name."""
        row = self._usable()
        if row is None:
            return
        taken = self.names()
        new = await self.gpt.push_screen_wait(
            AskText(
                f"Fork {row.name}",
                "A copy of its own, with this model as its parent. The files are verified on the way.",
                _free_name(name_from(row.name, "model"), taken),
                action="Fork",
                check=name_check("model name", taken.__contains__),
            )
        )
        if not new:
            return
        copy = await self._do(row.name, f"copying {row.name}", lambda: self.gpt.models.fork(row.name, new))
        if copy is not None:
            await self.reread(choose=copy.name)
            self.gpt.say(f"{new} is a copy of {row.name}")

    @work
    async def action_rename(self) -> None:
        """Give it another name."""
        row = self._own("rename")
        if row is None:
            return
        new = await self.gpt.push_screen_wait(
            AskText(
                f"Rename {row.name}",
                "Letters, digits, '-', '_' and '.'; the folder is renamed with it.",
                row.name,
                action="Rename",
                check=name_check("new model name", self.names().__contains__),
            )
        )
        if not new:
            return

        def rename() -> bool:
            self.gpt.models.rename(row.name, new)
            return True

        if await self._do(row.name, "", rename):
            await self.reread(choose=new)
            self.gpt.say(f"{row.name} is now {new}")

    @work
    async def action_note(self) -> None:
        """Write down what is to be remembered about it."""
        row = self._own("note")
        if row is None or self._tell_damaged(row):
            return
        record = row.model.record if isinstance(row.model, ModelEntry) else None
        if record is None:
            self.gpt.say_problem(
                f"{row.name} was made elsewhere and has no record that could hold notes; a fork of it gets one "
                f"({self.key_of('models.fork')})"
            )
            return
        text = await self.gpt.push_screen_wait(NoteDialog(row.name, record.notes))
        if text is None:
            return
        noted = await self._do(row.name, "", lambda: self.gpt.models.note(row.name, text))
        if noted is not None:
            await self.reread(choose=row.name)
            self.gpt.say(f"{row.name}: noted")

    @work
    async def action_delete(self) -> None:
        """Remove it from the library, after a question."""
        row = self._own("delete")
        if row is None:
            return
        size = row.model.size_bytes
        question = confirm(
            f"Delete {row.name}?",
            f"This frees {figures.memory(size)} and cannot be undone. Its run, and models continued or copied from it, "
            f"stay.\n{row.model.folder}",
            "Delete",
        )
        if await self.gpt.push_screen_wait(question) != "yes":
            return
        freed = await self._do(row.name, f"deleting {row.name}", lambda: self.gpt.models.delete(row.name))
        await self.reread()
        if freed is not None:
            self.gpt.say(f"{row.name} is deleted; {figures.memory(freed)} are free again")

    @work
    async def action_verify(self) -> None:
        """Compare every file with the hash that it was saved with."""
        row = self.chosen
        if row is None or row.name in self.doing:
            return
        found = await self._do(row.name, f"verifying {row.name}", lambda: self.gpt.models.verify(row.name))
        if found is None:
            return
        sentence = _verdict(row, found)
        self._verified[row.name] = (_state(row), sentence)
        self.show_chosen()
        if found:
            problems = "\n\n".join(found)
            await self.gpt.push_screen_wait(ExplanationDialog(Explanation(f"{row.name}: {sentence}", problems), []))
        else:
            self.gpt.say(f"{row.name}: {sentence}")

    @work(group="models-import")
    async def action_bring_in(self) -> None:
        """Add a model from a folder or the Hub; while one comes in, ask whether to stop that."""
        if _INCOMING in self.doing:
            question = confirm(
                "Stop importing?", "What was fetched whole stays in the Hub's own cache for the next time.", "Stop"
            )
            if await self.gpt.push_screen_wait(question) == "yes":
                self.workers.cancel_group(self, "models-carry")
            return
        wanted = await self.gpt.push_screen_wait(ImportDialog(self.names()))
        if wanted is not None:
            self._bring_in(wanted)

    @work(group="models-carry")
    async def _bring_in(self, wanted: Wanted) -> None:
        request = Import(source=wanted.source, name=wanted.name, pickle=wanted.pickle)
        answer = await self._carry(_INCOMING, f"importing {wanted.name}", request)
        if answer is not None:
            assert isinstance(answer, Published)
            await self.reread(choose=answer.model)
            self.gpt.say(f"{answer.model} is in the library")

    @work
    async def action_write_out(self) -> None:
        """Write it as a GGUF file for llama.cpp."""
        row = self._usable()
        if row is None:
            return
        path = await self.gpt.push_screen_wait(
            AskText(
                f"Write {row.name} as GGUF",
                "For llama.cpp, in half precision; `tui-gpt models gguf` has the other types. The file to write:",
                str(Path.cwd() / f"{name_from(row.name, 'model')}.gguf"),
                action="Write",
                check=lambda text: "" if text.strip() else "say where to",
            )
        )
        if path:
            self._write_out(row.name, path.strip())

    @work(group="models-carry")
    async def _write_out(self, name: str, path: str) -> None:
        answer = await self._carry(f"gguf {name}", f"writing {name} as GGUF", Export(model=name, path=path))
        if answer is not None:
            assert isinstance(answer, Exported)
            self.gpt.say(f"{answer.path} is written, {figures.memory(answer.size_bytes)}")

    async def _carry(self, key: str, doing: str, request: Import | Export) -> Answer | None:
        """What the session answers, with its progress below the table; None when it failed, which is told."""

        def hear(event: object) -> None:
            if isinstance(event, Progress):
                self.doing[key] = f"{doing}: {event.what} {event.share:.0%}"
                self.show_doing()

        self.doing[key] = doing
        self.show_doing()
        try:
            return await self.gpt.session.request(request, hear)
        except SessionError as error:
            self.gpt.say_problem(str(error))
            return None
        finally:
            self.doing.pop(key, None)
            if self.is_running:
                self.show_doing()

    def action_copy_path(self) -> None:
        """Put the path of its folder into the clipboard, over SSH too."""
        row = self.chosen
        if row is not None:
            path = str(row.model.folder)
            # What is pasted into a terminal must not command it; such a path has to be typed.
            self.gpt.copy_to_clipboard(safe_text(path, newlines=False))
            self.gpt.say(f"copied {path}")

    # ---- within

    async def _do(self, name: str, doing: str, change: Callable[[], T]) -> T | None:
        """The result of `change`, made in a thread while `doing` is shown; None when it failed, which is told."""
        if doing:
            self.doing[name] = doing
            self.show_doing()
        try:
            return await asyncio.to_thread(change)
        except TuiGptError as error:
            self.gpt.say_problem(str(error))
            return None
        finally:
            if self.doing.pop(name, None):
                self.show_doing()

    def _usable(self) -> ModelRow | None:
        """The chosen model, unless it is damaged, which is told."""
        row = self.chosen
        return None if row is None or self._tell_damaged(row) else row

    def _tell_damaged(self, row: ModelRow) -> bool:
        if row.problem:
            self.gpt.say_problem(f"{row.name} cannot be used: {row.problem}")
        return bool(row.problem)

    def _own(self, doing: str) -> ModelRow | None:
        """The chosen model, unless it is an example: these stay as they are, and a copy can be changed."""
        row = self.chosen
        if row is not None and row.model.read_only:
            self.gpt.say_problem(
                f"{row.name} is an example that comes with the program and stays as it is; press "
                f"{self.key_of('models.fork')} for a copy of your own, and {doing} that"
            )
            return None
        return row

    def key_of(self, binding_id: str) -> str:
        """The key as it is now: config.toml may have changed it."""
        rebound = [active.binding for active in self.screen.active_bindings.values()]
        usual = [binding for binding in self.BINDINGS if isinstance(binding, Binding)]
        return next(self.gpt.get_key_display(b) for b in (*rebound, *usual) if b.id == binding_id)

    def verdict(self, row: ModelRow) -> str:
        """What the last verification of these very files found; empty where there was none."""
        state, sentence = self._verified.get(row.name, ((), ""))
        return sentence if state == _state(row) else ""


def _state(row: ModelRow) -> tuple[object, ...]:
    """What is another once the model is changed or replaced."""
    return (row.model, row.files)


def _verdict(row: ModelRow, differences: list[str]) -> str:
    if differences:
        return f"{len(differences)} difference{'s' * (len(differences) != 1)} from what was saved"
    record = row.model.record if isinstance(row.model, ModelEntry) else None
    if record is None:
        return "made elsewhere, so there are no hashes to compare with; configuration and weights are there"
    count = len(record.files)
    return f"all {count} files are as they were saved"


def _free_name(wanted: str, taken: set[str]) -> str:
    name = f"{wanted}-copy"
    number = 1
    while name in taken:
        number += 1
        name = f"{wanted}-copy-{number}"
    return name
