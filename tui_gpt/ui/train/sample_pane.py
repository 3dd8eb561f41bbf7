"""What the model wrote at its evaluations, always after the same prompt: from gibberish to words, back and forth."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_gpt.core import figures
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.moments import SampleText
from tui_gpt.ui.dialogs.explanation import Explanation

_MOST_CHARACTERS = 20_000


class SamplePane(Vertical):
    """The newest sample, the one nearest to a step, or the one that was scrubbed to."""

    DEFAULT_CSS = """
    SamplePane > #sample-title { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    SamplePane > #sample-scroll { height: 1fr; scrollbar-size-vertical: 1; }
    SamplePane #sample-text { height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._title_line = Static("", id="sample-title", markup=False)
        self._scroll = VerticalScroll(id="sample-scroll")
        self._text = Static("", id="sample-text", markup=False)
        self._history: RunHistory | None = None
        self._chosen: int | None = None
        self._shown: tuple[SampleText | None, Content] | None = None
        self.keys = ""
        """The keys that scrub, as people read them."""

    def compose(self) -> ComposeResult:
        """Which sample it is, above its text."""
        yield self._title_line
        with self._scroll:
            yield self._text

    def show(self, history: RunHistory | None) -> None:
        """Show samples of this run; another one begins at its newest."""
        if history is not self._history:
            self._history, self._chosen = history, None
        self.update()

    @property
    def step(self) -> int | None:
        """The step of the sample that is shown; None where there is none."""
        return self._shown[0].step if self._shown and self._shown[0] else None

    @property
    def follows(self) -> bool:
        """Whether the newest sample is shown, whatever comes."""
        return self._chosen is None

    def go_to(self, step: int | None) -> None:
        """Show the sample nearest to a step; None follows the newest."""
        nearest = None if step is None or self._history is None else self._history.nearest_sample(step)
        self._chosen = nearest.step if nearest is not None else None
        self.update()

    def scrub(self, offset: int) -> int | None:
        """Go so many samples on, or back; returns the step of the one shown then. After the newest it follows."""
        samples = self._history.samples if self._history is not None else ()
        if not samples:
            return None
        at = min(max(self._index(samples) + offset, 0), len(samples) - 1)
        self._chosen = None if at == len(samples) - 1 else samples[at].step
        self.update()
        return samples[at].step

    def _index(self, samples: tuple[SampleText, ...]) -> int:
        if self._chosen is None:
            return len(samples) - 1
        chosen = self._chosen
        return min(range(len(samples)), key=lambda i: abs(samples[i].step - chosen))

    def update(self) -> None:
        """Show what there is now; nothing is done where nothing changed."""
        samples = self._history.samples if self._history is not None else ()
        sample = samples[index := self._index(samples)] if samples else None
        title = self._title(sample, index, len(samples)) if sample else Content(self._waiting())
        if self._shown is not None and (self._shown[0] is sample and self._shown[1] == title):
            return
        changed = self._shown is None or self._shown[0] is not sample
        self._shown = sample, title
        self._title_line.update(title)
        if changed:
            self._text.update(_text(sample))
            self._scroll.scroll_home(animate=False)

    def _waiting(self) -> str:
        if self._history is None:
            return ""
        if not self._history.opened:
            return "sample"
        return "no sample yet; the first one comes with the first evaluation"

    def _title(self, sample: SampleText, index: int, count: int) -> Content:
        assert self._history is not None
        losses = [e.val_loss for e in self._history.evaluations if e.step == sample.step]
        loss = f", val loss {figures.loss(losses[-1])}" if losses else ""
        newest = ", newest" if self._chosen is None else ""
        scrub = f"   {self.keys}" if count > 1 and self.keys else ""
        return Content.assemble(
            ("sample", "bold $text"), f" at step {sample.step:,} ({index + 1} of {count}{newest}){loss}", scrub
        )

    def explain(self) -> Explanation:
        """F1 on the pane."""
        return Explanation(
            "Sample",
            "At every evaluation the model continues the same prompt with the same seed, so that only the model "
            "differs. The prompt is bold. While the crosshair is on the plot, the sample nearest to it is shown; "
            "otherwise the newest, until you scrub back.",
        )


def _text(sample: SampleText | None) -> Content:
    if sample is None:
        return Content("")
    text, more = sample.text[:_MOST_CHARACTERS], len(sample.text) - _MOST_CHARACTERS
    ending = f"\n({more:,} more characters)" if more > 0 else ""
    return Content.assemble((safe_text(sample.prompt[:_MOST_CHARACTERS]), "bold"), safe_text(text), (ending, "italic"))
