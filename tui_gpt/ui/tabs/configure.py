"""The Configure tab: a preset, a text, every field of a run, and what that amounts to while it is typed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import psutil
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Button
from textual.worker import Worker

from tui_gpt.core.config import RunConfig
from tui_gpt.core.corpora import CATALOGUE, find
from tui_gpt.core.corpus_shares import MIX, corpus_shares
from tui_gpt.core.errors import ConfigError, CorpusError, TuiGptError
from tui_gpt.core.messages import Explored
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.configure import toml_files
from tui_gpt.ui.configure.corpus_pane import CorpusPane
from tui_gpt.ui.configure.exploring import Exploration
from tui_gpt.ui.configure.figures_pane import FiguresPane
from tui_gpt.ui.configure.file_dialog import FileDialog, folder_of
from tui_gpt.ui.configure.form import ConfigForm
from tui_gpt.ui.configure.form_state import CORPUS, NAME, FormState
from tui_gpt.ui.configure.origin_line import OriginLine
from tui_gpt.ui.configure.presets_pane import PresetsPane
from tui_gpt.ui.configure.remembered import Remembered, remembered_from
from tui_gpt.ui.configure.speed import Speed, minutes_problem
from tui_gpt.ui.configure.summary import Summary
from tui_gpt.ui.configure.token_dialog import TokenDialog
from tui_gpt.ui.configure.typed_text import escaped, unescaped
from tui_gpt.ui.configure.weighing import Weights, weigh
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.tabs.tab import TabBody

NARROW, WIDE = 108, 160
"""Columns of the window below which there are two columns, and from which they are wider."""
_MOST_FILES = 5
_TICKS = 20
"""Looks at the runs between two looks at the free memory."""


class ConfigureTab(TabBody):
    """Everything that makes a run, and the button that starts it."""

    DEFAULT_CSS = (Path(__file__).parent / "configure.tcss").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "browse", "Text file", id="configure.browse", tooltip="Choose a text file or a folder"),
        Binding("ctrl+n", "plan", "By minutes", id="configure.plan", tooltip="A size and a recipe for so many minutes"),
        Binding("ctrl+t", "calibrate", "Speed", id="configure.calibrate", tooltip="Measure how fast this would train"),
        Binding("ctrl+g", "fetch", "Fetch the text", id="configure.fetch", tooltip="Download the corpus of the form"),
        Binding("ctrl+r", "tokens", "Tokens", id="configure.tokens", tooltip="Every token and how often it occurs"),
        Binding("ctrl+z", "undo", "The former form", id="configure.undo", show=False),
        Binding("ctrl+l", "load", "Load a TOML file", id="configure.load", show=False),
        Binding("ctrl+y", "write", "Write a TOML file", id="configure.write", show=False),
        Binding("escape", "home", "To the start button", id="configure.home", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        session = self.gpt.session
        self.exploration = Exploration(session, self._explored)
        self.speed = Speed(session, self._weigh)
        self.state = FormState(self._name_taken)
        self.files: list[str] = []
        """The files and folders that were chosen lately, the newest first."""
        self.weights: Weights | None = None
        self._minutes = "10"
        self._started_as: str | None = None
        self._measuring: Worker[None] | None = None
        self._ticks = 0
        self._facts_shown: object = None

    # ---- what is on it

    def compose(self) -> ComposeResult:
        """Presets and corpus, the form below its buttons, the figures."""
        with Container(id="columns"):
            with Vertical(id="side"):
                yield PresetsPane(id="presets-pane")
                yield CorpusPane(id="corpus-pane")
            with Vertical(id="middle"):
                with Horizontal(id="actions"):
                    yield Button("Start training", id="start", variant="primary", compact=True)
                    yield Button("Measure speed", id="calibrate", compact=True)
                    yield Button("By minutes…", id="plan", compact=True)
                yield OriginLine()
                yield Summary("", id="summary", markup=False)
                yield ConfigForm(self.state, id="form")
            yield FiguresPane(id="figures-pane")

    @property
    def form(self) -> ConfigForm:
        """The fields."""
        return self.query_one(ConfigForm)

    def on_unmount(self) -> None:
        """Nothing is left under way."""
        self.exploration.stop()

    def on_resize(self, event: events.Resize) -> None:
        """Two columns where there is no room for three."""
        width = event.size.width
        self.set_class(width < NARROW, "-narrow")
        self.set_class(width >= WIDE, "-wide")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """In two columns the left one belongs to presets and corpus while they have the focus, else to the figures."""
        side = self.query_one("#side")
        self.set_class(side in event.widget.ancestors_with_self, "-side")

    def focus_first(self) -> None:
        """Enter starts."""
        self.query_one("#start", Button).focus()

    def action_home(self) -> None:
        """Leave the fields; digits switch tabs there, and Enter starts."""
        self.focus_first()

    def explain(self) -> Explanation:
        """What one does here."""
        return Explanation(
            "Configure",
            "Choose a preset and a text on the left, change what you like in the middle, and start with F5 or the "
            "button. The figures on the right follow what you type: the size of the model, whether it fits into "
            "memory, how long it takes, and how it compares with GPT-2.\n\n"
            "Fields that differ from the preset carry a •, wrong ones a ✗ and the reason. F1 on a field explains it. "
            "Training goes on in the background, also when this program is closed.",
        )

    def shown(self) -> None:
        """Free memory and run names may have changed."""
        self._form_changed()

    def board_changed(self) -> None:
        """A run that was started has its name; the field is free again. Free memory is looked at at times."""
        self._ticks = (self._ticks + 1) % _TICKS
        if self._started_as is not None and self.gpt.board.get(self._started_as) is not None:
            if self.state.texts[NAME] == self._started_as:
                self.form.put(NAME, "")
            self._started_as = None
        if self._ticks == 0:
            self._weigh()

    def _name_taken(self, name: str) -> bool:
        return self.is_mounted and any(run.name == name for run in self.gpt.board.runs)

    # ---- from the form

    def config(self) -> RunConfig:
        """The configuration as it stands. Raises ConfigError with the first problem."""
        return self.state.config()

    def start(self) -> None:
        """Start a run, or put the focus on the first field that is wrong and say what is."""
        self._start()

    @work(group="start", exclusive=True)
    async def _start(self) -> None:
        blamed = CORPUS
        try:
            config = self.config()
            for part in corpus_shares(config.data.corpus, config.data.mix):
                blamed = CORPUS if part.corpus == config.data.corpus else MIX
                await asyncio.to_thread(find, part.corpus)
        except ConfigError as error:
            self._refuse(error.path, error.message)
        except CorpusError as error:
            self._refuse(blamed, str(error))
        else:
            self._started_as = self.state.name
            origin = self.state.origin
            self.gpt.start_run(config, self.state.name, origin.name if origin else None)

    def _refuse(self, path: str, sentence: str) -> None:
        self.form.focus_field(path)
        self.gpt.say_problem(f"{path}: {sentence}")

    def on_config_form_changed(self, event: ConfigForm.Changed) -> None:
        """The rest of the tab follows."""
        event.stop()
        self._form_changed()

    def _form_changed(self) -> None:
        self.query_one(PresetsPane).show(self.state.preset, changed=bool(self.state.changed()))
        self.query_one(CorpusPane).show_choices(self.files, unescaped(self.state.texts[CORPUS]))
        self.query_one(OriginLine).show(self.state.origin)
        if not any(path.startswith("data.") for path in self.form.problems):
            self.exploration.explore(self.state.nearest_config().data, self.exploration.line)
        self._weigh()

    def _weigh(self) -> None:
        if not self.is_attached:
            return
        available = int(psutil.virtual_memory().available)
        self.weights = weigh(self.state.nearest_config(), self._facts(), self.speed.calibrations, available)
        self.query_one(FiguresPane).show(self.weights, self.speed.doing)
        wrong = [path for path in self.state.docs if path in self.form.problems]
        self.query_one(Summary).show(self.weights, wrong)

    # ---- the corpus

    def _explored(self) -> None:
        exploration = self.exploration
        if not self.is_attached:
            return
        pane = self.query_one(CorpusPane)
        facts = exploration.facts
        if facts is not None:
            pane.show_choices(self.files, unescaped(self.state.texts[CORPUS]))  # it may have come just now
            pane.show_facts(facts, self._other_tokens() or self._better_from_a_model())
        elif exploration.problem:
            pane.show_problem(exploration.problem)
        elif exploration.lacking is not None and exploration.data is not None:
            key = self.gpt.settings.keys.get("configure.fetch", "ctrl+g").partition(",")[0]
            pane.show_lacking(exploration.data.corpus, exploration.lacking, safe_text(key, newlines=False))
        else:
            pane.show_progress(f"{exploration.progress}…")
        self.refresh_bindings()
        if facts is not self._facts_shown:
            self._facts_shown = facts
            self._weigh()

    def on_corpus_pane_chosen(self, event: CorpusPane.Chosen) -> None:
        """A corpus of the list."""
        event.stop()
        self._choose_corpus(event.corpus)

    def on_corpus_pane_browse(self, event: CorpusPane.Browse) -> None:
        """Look for a file."""
        event.stop()
        self.action_browse()

    def on_corpus_pane_line(self, event: CorpusPane.Line) -> None:
        """Another line to show in tokens."""
        event.stop()
        if self.exploration.data is not None:
            self.exploration.explore(self.exploration.data, event.text)

    def _choose_corpus(self, corpus: str) -> None:
        self._list_file(corpus)
        if corpus != unescaped(self.state.texts[CORPUS]):
            for path, text in self.state.for_another_text().items():
                self.form.put(path, text)
        self.form.put(CORPUS, escaped(corpus))
        self._form_changed()

    def _list_file(self, corpus: str) -> None:
        if corpus not in CATALOGUE:
            self.files = [corpus, *(file for file in self.files if file != corpus)][:_MOST_FILES]

    def action_tokens(self) -> None:
        """Every token of the text in a table."""
        wrong = next((path for path in self.form.problems if path.startswith("data.")), None)
        if wrong is not None:
            self._refuse(wrong, self.form.problems[wrong])
            return
        note = self._other_tokens()
        self.gpt.push_screen(TokenDialog(self.gpt.session, self.state.nearest_config().data, note))

    def _other_tokens(self) -> str:
        """Why a run would have other tokens than those of the text, empty where it would not."""
        origin = self.state.origin
        return f"Of a tokenizer made from this text; the run uses that of {origin.name}." if origin is not None else ""

    def _better_from_a_model(self) -> str:
        """What helps who trains a new model on conversations, empty for other texts."""
        facts = self.exploration.facts
        if facts is None or not facts.answers:
            return ""
        return "A model that knows such texts already learns to answer sooner: Models, c continues one on this."

    @work(group="dialog", exclusive=True)
    async def action_browse(self) -> None:
        """Choose a file or a folder in a tree."""
        current = unescaped(self.state.texts[CORPUS])
        folder = await asyncio.to_thread(folder_of, current)
        chosen = await self.gpt.push_screen_wait(FileDialog(folder))
        if chosen:
            # ./stories is the file, stories the built-in corpus
            self._choose_corpus(chosen if chosen not in CATALOGUE else f"./{chosen}")

    # ---- whole forms

    def on_presets_pane_chosen(self, event: PresetsPane.Chosen) -> None:
        """Put a preset into the form."""
        event.stop()
        had_changes = bool(self.state.changed())
        self.state.choose_preset(event.name)
        self.form.put_all()
        if had_changes:
            self.gpt.say(f"the form holds {event.name} now; ctrl+z brings the former one back")

    def action_undo(self) -> None:
        """The form as it was before the last preset, plan or file."""
        if self.state.undo():
            self.form.put_all()
        else:
            self.gpt.say("nothing to undo; a preset, a plan or a file that is put into the form can be taken back")

    @work(group="dialog", exclusive=True)
    async def action_load(self) -> None:
        """Read a configuration from a TOML file into the form."""
        loaded = await toml_files.load(self.gpt)
        if loaded is not None:
            path, config = loaded
            self.state.take(config)
            self.form.put_all()
            self.gpt.say(f"the form holds {path} now; ctrl+z brings the former one back")

    @work(group="dialog", exclusive=True)
    async def action_write(self) -> None:
        """Write the form as a TOML file that the command line reads too."""
        try:
            config = self.config()
        except ConfigError as error:
            self._refuse(error.path, error.message)
        else:
            await toml_files.write(self.gpt, config)

    def begin_from(self, origin: str) -> None:
        """Continue training from a model: its shape and tokenizer are fixed, its own text is proposed."""
        self._begin_from(origin)

    @work(group="origin", exclusive=True)
    async def _begin_from(self, origin: str) -> None:
        try:
            entry = await asyncio.to_thread(self.gpt.models.get, origin)
            record = entry.record
            self.state.continue_from(origin, record.config if record is not None else None)
        except TuiGptError as error:
            self.gpt.say_problem(str(error))
            return
        self.form.put_all()
        self.focus_first()

    def on_origin_line_dropped(self, event: OriginLine.Dropped) -> None:
        """Random weights after all."""
        event.stop()
        self.state.drop_origin()
        self.form.put_all()

    # ---- speed and plans

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The buttons above the form."""
        event.stop()
        match event.button.id:
            case "start":
                self.gpt.run_worker(self.gpt.run_action("app.start_or_pause"), group="press")
            case "calibrate":
                self.action_calibrate()
            case "plan":
                self.action_plan()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Undo only where there is something to undo, fetching only where there is something to fetch."""
        if action == "fetch":
            return self.exploration.lacking is not None
        return (self.state.can_undo or None) if action == "undo" else True

    def action_fetch(self) -> None:
        """Fetch the corpus of the form; choosing another one meanwhile ends that, and what has come is kept."""
        self.exploration.fetch()

    def action_calibrate(self) -> None:
        """Train for five seconds and see how fast it goes; pressed again meanwhile, it ends."""
        if self._measuring is not None and self._measuring.is_running:
            self._measuring.cancel()
            self._measuring = None
            self.speed.say("")
        else:
            self._measuring = self._measure()

    @work(group="calibrate", exclusive=True)
    async def _measure(self) -> None:
        try:
            await self.speed.measure(self.config(), self._facts())
        except ConfigError as error:
            self._refuse(error.path, error.message)
        except TuiGptError as error:
            self.speed.say(str(error))

    def _facts(self) -> Explored | None:
        """Of the form's corpus, where they are known."""
        exploration = self.exploration
        return exploration.facts if exploration.data == self.state.nearest_config().data else None

    @work(group="plan", exclusive=True)
    async def action_plan(self) -> None:
        """Ask for the minutes there are, and put a size and a recipe for them into the form."""
        answer = await self.gpt.push_screen_wait(
            AskText(
                "I have … minutes",
                "How long it may train. The size of the model and the recipe follow from how fast this machine is, "
                "which is measured first if it was not yet.",
                self._minutes,
                action="Plan",
                check=minutes_problem,
            )
        )
        if answer is None:
            return
        self._minutes = answer
        try:
            planned = await self.speed.plan(float(answer), self.state.nearest_config(), self._facts())
        except TuiGptError as error:
            self.gpt.say_problem(str(error))
            return
        self.state.take_plan(planned.tree)
        self.form.put_all()
        self.speed.say(planned.reason)
        self.gpt.say("the form holds the plan now; ctrl+z brings the former one back")

    # ---- from one start to the next

    def remember(self) -> dict[str, Any]:
        """The form, the files and the measurements."""
        kept = Remembered(
            preset=self.state.preset,
            changed=self.state.changed(),
            corpus=self.state.texts[CORPUS],
            name=self.state.texts[NAME],
            files=self.files,
            minutes=self._minutes,
            calibrations=self.speed.calibrations.remember(),
        )
        tree: dict[str, Any] = msgspec.to_builtins(kept)
        return tree

    def recall(self, remembered: dict[str, Any]) -> None:
        """Take it up again; what is damaged or no longer there is passed over."""
        kept = remembered_from(remembered)
        # As they are typed they hold nothing that must be escaped; what does was put into the file by somebody else.
        self.state.restore(kept.preset, {path: safe_text(text, newlines=False) for path, text in kept.changed.items()})
        self.state.texts[CORPUS] = safe_text(kept.corpus, newlines=False) or self.state.texts[CORPUS]
        self.state.texts[NAME] = safe_text(kept.name, newlines=False)
        self.files = kept.files[:_MOST_FILES]
        self._minutes = kept.minutes if not minutes_problem(kept.minutes) else self._minutes
        self.speed.calibrations.recall(kept.calibrations)
        if self.gpt.corpus_given:
            self._list_file(self.gpt.corpus_given)
            self.state.texts[CORPUS] = escaped(self.gpt.corpus_given)
        self.form.refresh_rows()
