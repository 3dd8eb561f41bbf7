"""What the Train tab needs from the disk, read in one thread at a time: curves, the log, and what they say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tui_gpt.core.advice import Advice, Course, Evaluated, advise
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.launch import log_tail
from tui_gpt.core.runs.records import RunRecord
from tui_gpt.core.runs.store import RunStore, RunSummary
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.train.log_tail import LogPiece, LogTail, newest_log

_ROUND_SECONDS = 0.12
"""Reading of one round; the screen shows how far it came, and the next one goes on."""
_KEPT_SECONDS = 60.0
_ADVICE_SECONDS = 1.0
_RECENT_STEPS = 1000
_RECENT_EVALS = 200
_LAST_WORDS = 6

_Identity = tuple[int, int] | None


class Wish(NamedTuple):
    """What the tab shows at the moment."""

    run: RunSummary | None
    overlays: tuple[str, ...]
    with_log: bool


class Seen(NamedTuple):
    """What one round found. Foreign text is made safe already, except within the histories."""

    wish: Wish
    histories: tuple[tuple[str, RunHistory], ...]
    """The shown run's first."""
    more: bool
    """There is more to do about the histories than to look for new lines."""
    record: RunRecord | None
    advice: list[Advice]
    warnings: list[str]
    """The trainer's own."""
    last_words: list[str]
    """The end of the log of a trainer that did not end in good order."""
    log: LogPiece | None
    problem: str


class Watcher:
    """Reads; to be called from one thread at a time. Histories that nobody looks at are let go after a while."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._histories: dict[str, tuple[RunHistory, _Identity]] = {}
        self._used: dict[str, float] = {}
        self._log: tuple[str, LogTail] | None = None
        self._about: tuple[str, str] | None = None
        self._record: RunRecord | None = None
        self._warnings: list[str] = []
        self._last_words: list[str] = []
        self._advice: list[Advice] = []
        self._advised: tuple[object, ...] = ()
        self._advised_at = 0.0

    def look(self, wish: Wish) -> Seen:
        """One round of reading; returns soon, whatever the size of the files."""
        problem = ""
        names = [name for name in (wish.run.name if wish.run else None, *wish.overlays) if name is not None]
        histories: list[tuple[str, RunHistory]] = []
        deadline = time.monotonic() + _ROUND_SECONDS
        for name in dict.fromkeys(names):
            try:
                history = self._history(name)
                histories.append((name, history))
                history.poll(max(0.01, deadline - time.monotonic()))
            except (TuiGptError, OSError) as error:  # a run may go while it is read
                problem = problem or str(error)
        self._let_go(names)
        log = None
        try:
            self._look_at_run(wish.run, dict(histories))
            log = self._read_log(wish)
        except (TuiGptError, OSError) as error:  # a run may go while it is read
            problem = problem or str(error)
        return Seen(
            wish,
            tuple(histories),
            any(history.pending for _, history in histories),
            self._record,
            self._advice,
            self._warnings,
            self._last_words,
            log,
            problem,
        )

    def _history(self, name: str) -> RunHistory:
        """The run's history; a new one where another run has taken the name. Raises RunError, ConfigError."""
        folder = self._store.root / name
        identity = _identity(folder)
        known = self._histories.get(name)
        if known is None or known[1] != identity:
            self._store.open(name)
            known = self._histories[name] = (RunHistory(folder), identity)
        self._used[name] = time.monotonic()
        return known[0]

    def _let_go(self, names: Sequence[str]) -> None:
        long_ago = time.monotonic() - _KEPT_SECONDS
        for name in [name for name, used in self._used.items() if used < long_ago and name not in names]:
            del self._histories[name], self._used[name]

    def _look_at_run(self, run: RunSummary | None, histories: dict[str, RunHistory]) -> None:
        about = None if run is None else (run.name, run.state)
        if about != self._about:
            self._about, self._advised = about, ()
            self._record, self._warnings, self._last_words, self._advice = None, [], [], []
            if run is not None:
                opened = self._store.open(run.name)
                self._record = opened.record
                if _died(run) and (log := newest_log(opened.folder)) is not None:
                    self._last_words = log_tail(log, _LAST_WORDS).split("\n")
        if run is None or self._record is None:
            return
        history = histories.get(run.name)
        state = (run.state, run.error, history.version if history else 0, bool(history and history.opened))
        if state == self._advised or (self._advice_is_fresh() and self._advised and state[0] == self._advised[0]):
            return
        self._advised, self._advised_at = state, time.monotonic()
        status = self._store.open(run.name).status()
        self._warnings = list(status.warnings) if status else []
        self._advice = advise(course_of(run, self._record, history))

    def _advice_is_fresh(self) -> bool:
        return time.monotonic() - self._advised_at < _ADVICE_SECONDS

    def _read_log(self, wish: Wish) -> LogPiece | None:
        if wish.run is None or not wish.with_log:
            self._log = None
            return None
        if self._log is None or self._log[0] != wish.run.name:
            self._log = wish.run.name, LogTail(self._store.root / wish.run.name)
        return self._log[1].poll()


def _died(run: RunSummary) -> bool:
    """Whether its log may tell more than its status."""
    unexpected = run.state == "failed" and (run.error or "").startswith("an unexpected")
    return unexpected or run.state in ("interrupted", "hung")


def course_of(run: RunSummary, record: RunRecord, history: RunHistory | None) -> Course:
    """A run as the rules of `core.advice` want to see it."""
    about = Course(
        config=record.config,
        state=run.state,
        step=run.step,
        progress=run.progress,
        last_checkpoint=run.last_checkpoint,
        error=run.error,
        n_train_tokens=_epoch_tokens(record),
        from_weights=record.from_model or record.fork_step is not None,
    )
    last, bounds = (history.last_step, history.bounds()) if history is not None else (None, None)
    if history is None or not history.opened or last is None or bounds is None:
        return about
    first_step = last - _RECENT_STEPS + 1
    evals = history.evaluations
    recent_evals = [*[e for e in evals[:-_RECENT_EVALS] if e.best][-1:], *evals[-_RECENT_EVALS:]]
    return msgspec.structs.replace(
        about,
        step=last,
        first_losses=_values(history.series("loss", bounds[0], bounds[0] + 9, 10)),
        losses=_values(history.series("loss", first_step, last, _RECENT_STEPS)),
        grad_norms=_values(history.series("grad_norm", first_step, last, _RECENT_STEPS)),
        evals=[
            Evaluated(e.step, e.val_loss, point.smoothed)
            for e in recent_evals
            if (point := history.at(e.step)) is not None
        ],
    )


def _epoch_tokens(record: RunRecord) -> int:
    """The training tokens; of a mix, those that are read until the main corpus was read once."""
    if not record.config.data.mix:
        return record.data.n_train_tokens
    return int(record.data.rows_per_epoch * record.config.model.n_positions)


def _values(spans: Sequence[tuple[float, float, float]]) -> list[float]:
    return [low for _, low, _ in spans]


def _identity(folder: Path) -> _Identity:
    """Stays with a folder that is renamed, and is another one for a run made anew; None where there is none."""
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
