"""The figures beside the form, drawn: parameters, memory, work and time, and how it compares with GPT-2."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_gpt.core import exposure, figures
from tui_gpt.core.published import FieldComparison
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.sizes import trained_parameters
from tui_gpt.ui.configure.weighing import Weights
from tui_gpt.ui.dialogs.explanation import Explanation

_MUTED = "$foreground-muted"
_FAINT = "$foreground-disabled"
_BAR = "▏▎▍▌▋▊▉█"


class FiguresPane(VerticalScroll):
    """Changes as the form does. Scrolls with the arrow keys where it is longer than its place."""

    DEFAULT_CSS = """
    FiguresPane { padding: 0 1; scrollbar-size-vertical: 1; }
    FiguresPane:focus { background-tint: $foreground 3%; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._weights: Weights | None = None
        self._note = ""
        self._shown: Content | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", id="figures", markup=False)

    def show(self, weights: Weights, note: str = "") -> None:
        """Show the figures; `note` is what a calibration is doing, or why it failed."""
        self._weights, self._note = weights, note
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Columns move with the width."""
        self._draw()

    def _draw(self) -> None:
        width = self.scrollable_content_region.width
        if self._weights is None or width < 10:
            return
        drawn = Content("\n").join(_lines(self._weights, self._note, width))
        if drawn != self._shown:
            before, self._shown = self._shown, drawn
            # A new layout of the whole screen costs more than anything else here.
            longer = before is None or before.plain.count("\n") != drawn.plain.count("\n")
            self.query_one("#figures", Static).update(drawn, layout=longer)

    def explain(self) -> Explanation:
        """Where the figures come from."""
        return Explanation(
            "Figures",
            "Parameters are counted exactly, once the corpus has been read and the vocabulary is known.\n\n"
            "Memory is an estimate of the peak of one training step: weights, gradients, the optimizer's moments, and "
            "the activations that the backward pass needs. It is compared with what is free now.\n\n"
            "FLOPs per token are 6 N + 12 L H D T (Chowdhery et al., 2022): a forward and a backward pass.\n\n"
            "Tokens per parameter are those of the whole run. Large models are trained best at about 20 (Hoffmann et "
            "al., 2022); small ones in a few minutes at 1 to 3. A text that is read more than about four times gives "
            "less and less (Muennighoff et al., 2023). An epoch reads everything once, in an order of its own: read "
            "2.3 times means 70 % twice and 30 % three times.\n\n"
            "The speed is measured by training for five seconds (Calibrate); for another shape it is estimated from "
            "that in proportion to the FLOPs, and marked ~.\n\n"
            "The last part compares the model with the published GPT-2 that is nearest, field by field.",
        )


def _lines(weights: Weights, note: str, width: int) -> list[Content]:
    parts = (
        _parameters(weights, width),
        _memory(weights, width),
        _time(weights, note, width),
        _work(weights, width),
        _published(weights, width),
    )
    lines: list[Content] = []
    for part in parts:
        if lines:
            lines.append(Content(""))
        lines += part
    return lines


def _pair(left: str, right: str, width: int, style: str = "", left_style: str = _MUTED) -> Content:
    room = width - len(right) - 1
    shown = left if len(left) <= room else left[: max(1, room - 1)] + "…"
    return Content.assemble((shown, left_style), " " * max(1, width - len(shown) - len(right)), (right, style))


def _head(title: str, right: str, width: int) -> Content:
    return _pair(title, right, width, "bold", "$text-accent bold")


def _parameters(weights: Weights, width: int) -> Iterator[Content]:
    count, train = weights.parameters, weights.config.train
    about = "~" if weights.assumed else ""
    yield _head("Parameters", about + figures.amount(count.total), width)
    bar = max(0, min(16, width - 28))
    for name, number in (
        ("token embedding", count.token_embedding),
        ("positions", count.positions),
        ("attention", count.attention),
        ("mlp", count.mlp),
        ("norms", count.norms),
        ("head", count.head),
    ):
        if number:
            left = Content.assemble((f"{name:<16}", _MUTED), (_bar(number / count.total, bar), "$primary"))
            right = about + figures.amount(number)
            yield Content.assemble(left, " " * max(1, width - left.cell_length - len(right)), right)
    if train.lora_rank:
        yield _pair("learn, by LoRA", about + figures.amount(trained_parameters(weights.config.model, train)), width)
    if not count.head:
        yield Content.styled("head tied to the token embedding", _FAINT)
    if weights.assumed:
        yield from _wrapped(f"~ with {weights.config.model.vocabulary:,} tokens until the text is read", width, _FAINT)


def _bar(share: float, width: int) -> str:
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_BAR[rest - 1] if rest else "")


def _memory(weights: Weights, width: int) -> Iterator[Content]:
    memory = weights.memory
    yield _head("Memory", "~" + figures.memory(memory.total), width)
    weight_bytes = memory.weights + memory.master_weights + memory.weight_average
    yield _pair(f"weights ({weights.precision})", figures.memory(weight_bytes), width)
    yield _pair("gradients, optimizer", figures.memory(memory.gradients + memory.optimizer), width)
    yield _pair("activations", figures.memory(max(memory.activations, memory.step_workspace)), width)
    if weights.available is None:
        yield Content.styled("the device is asked at the start", _FAINT)
    elif weights.fits:
        yield _pair(f"✓ fits into {figures.memory(weights.available)} free", "", width, left_style="$text-success")
    else:
        yield _pair(f"✗ only {figures.memory(weights.available)} are free", "", width, left_style="$text-error")
        best = next((r for r in memory.remedies if r.total <= (weights.available or 0)), None)
        advice = f"{best.change} needs {figures.memory(best.total)}" if best else "a smaller model is needed"
        yield from _wrapped(advice, width, "$text-warning")


def _time(weights: Weights, note: str, width: int) -> Iterator[Content]:
    about = "" if weights.measured or weights.config.train.max_minutes is not None else "~"
    known = weights.seconds is not None
    yield _head("Time", about + figures.duration(weights.seconds) if known else "not known", width)
    if weights.tokens_per_second is not None:
        mark = "" if weights.measured else "~"
        yield _pair("tokens/s", f"{mark}{weights.tokens_per_second:,.0f}", width)
    if (entry := weights.measured) is not None:
        yield _pair("a step", _seconds(entry.step_seconds), width)
        yield _pair("measured peak", figures.memory(entry.memory_bytes), width)
        yield _pair(safe_text(entry.device_name or entry.device, newlines=False), f" {entry.precision}", width)
    elif note:
        pass
    elif weights.tokens_per_second is not None:
        yield from _wrapped("~ by another shape's speed; ctrl+t measures this one", width, _FAINT)
    else:
        yield from _wrapped("ctrl+t measures the speed in five seconds", width, _FAINT)
    if note:
        yield from _wrapped(note, width, "$text-accent")


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _work(weights: Weights, width: int) -> Iterator[Content]:
    about = "" if weights.config.train.max_minutes is None else "~"

    def known(value: float | None, form: str = "amount") -> str:
        if value is None:
            return "?"
        return about + (
            figures.amount(value) if form == "amount" else f"{value:.2g}" if value < 100 else f"{value:,.0f}"
        )

    yield _head("Work", known(weights.tokens) + " tokens", width)
    yield _pair("FLOPs per token", figures.amount(weights.flops.training), width)
    yield _pair("tokens per step", f"{weights.tokens_per_step:,}", width)
    yield _pair("steps", known(weights.steps), width)
    yield _pair("tokens per parameter", known(weights.tokens_per_parameter, "ratio"), width)
    yield _pair("text read", f"{known(weights.passes, 'ratio')} times", width)
    if weights.passes is not None:
        words = exposure.in_words(weights.passes)
        for part in [words] if len(about + words) < width else words.split(", "):
            yield _pair("", about + part, width)


def _published(weights: Weights, width: int) -> Iterator[Content]:
    equal = sum(field.equal for field in weights.comparison)
    yield _head(f"Nearest: {weights.published}", f"{equal} of {len(weights.comparison)}", width)
    for field in weights.comparison:
        mark = ("✓ ", "$text-success") if field.equal else ("✗ ", "$text-error")
        here, there = _field_value(field, field.actual), _field_value(field, field.published)
        right = here if field.equal else f"{here} ≠ {there}"
        yield Content.assemble(mark, _pair(field.field, right, width - 2))


def _field_value(field: FieldComparison, value: int | float | str | bool | None) -> str:
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.field == "parameters":
        return figures.amount(float(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value


def _wrapped(text: str, width: int, style: str) -> Iterator[Content]:
    for line in textwrap.wrap(safe_text(text, newlines=False), max(10, width)):
        yield Content.styled(line, style)
