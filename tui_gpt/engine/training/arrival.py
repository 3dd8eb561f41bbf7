"""A text that is still arriving, as the trainer sees it: who brings it, what has come, and what it is waiting for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tui_gpt.core import figures
from tui_gpt.core.errors import RunError
from tui_gpt.core.fetched import bytes_here
from tui_gpt.core.runs.child_process import INTERPRETER
from tui_gpt.core.runs.records import Record, read_optional, write_record
from tui_gpt.engine.text.streaming.batches import ArrivingBatches
from tui_gpt.engine.text.streaming.corpus import StreamedCorpus
from tui_gpt.engine.text.streaming.feeder import read_problem
from tui_gpt.engine.text.streaming.parts import bytes_expected, read_record
from tui_gpt.engine.training.reporting import Reporter, say

PARTS_FILE = "parts.json"
_FEEDER_MODULE = "tui_gpt.engine.text.streaming.feeder"

_LOOK_SECONDS = 0.2
_TEND_SECONDS = 1.0
_RESTART_SECONDS = 3.0
_END_SECONDS = 3.0
_DIED = "the process that brings the text has ended (exit code {code}), and is started again"


class LearnedParts(Record, frozen=True, kw_only=True):
    """parts.json: what a run has learned from. A part that is made again must be the same one."""

    sha256: list[str]
    """Of the parts' tokens, in hexadecimal."""


class Arrival:
    """The text of one run on its way. For the first rank; the others see the parts that it has seen."""

    def __init__(self, run_folder: Path, corpus: StreamedCorpus, reporter: Reporter) -> None:
        self._run_folder, self._corpus, self._reporter = run_folder, corpus, reporter
        self._feeder: subprocess.Popen[bytes] | None = None
        self._started_at = self._tended_at = self._looked_at = -1e9
        self._expected = 0
        known = read_optional(run_folder / PARTS_FILE, LearnedParts)
        self._known = list(known.sha256) if known is not None else []
        self._compared = 0
        self.problem = ""
        """Why the text can never be gone on with; empty as long as it may."""

    def begin(self) -> None:
        """Let somebody bring what is missing."""
        if not self._corpus.is_complete:
            self._start()

    def end(self) -> None:
        """Nobody needs more of the text."""
        feeder, self._feeder = self._feeder, None
        if feeder is None:
            return
        with suppress(OSError):
            if feeder.stdin is not None:
                feeder.stdin.close()
        try:
            feeder.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            feeder.kill()
            feeder.wait()

    def is_here(self, batches: ArrivingBatches, step: int) -> bool:
        """Whether the text of batch `step` is here; if not, the status says what is waited for.

        Raises RunError where a part is not the one that the run has learned from. See `problem`, too.
        """
        now = time.monotonic()
        if now - self._tended_at >= _TEND_SECONDS:
            self._tended_at = now
            self._tend(batches)
        if not batches.has(step) and now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            batches.look()
        if self._compared < len(batches.parts):
            self._compare(len(batches.parts))
        if batches.has(step):
            return True
        self._tell()
        return False

    def _tend(self, batches: ArrivingBatches) -> None:
        """Notice what has become of the feeder, and start another one where it has died."""
        if batches.is_complete:
            self._reporter.withdraw("text")
            self.end()
            return
        code = None if self._feeder is None else self._feeder.poll()
        if code == 0:  # it has made everything
            batches.look()
        elif code is not None:
            known = read_problem(self._corpus.folder)
            if known is not None and known.is_final:
                return
            self._reporter.warn(_DIED.format(code=code), about="feeder")
        else:
            self._reporter.withdraw("feeder")
        if (self._feeder is None or code is not None) and not batches.is_complete:
            self._start()

    def _start(self) -> None:
        if time.monotonic() - self._started_at < _RESTART_SECONDS:
            return
        self._started_at = time.monotonic()
        self.end()
        try:
            self._feeder = subprocess.Popen(
                [*INTERPRETER, "-m", _FEEDER_MODULE, str(self._corpus.folder), "--parent", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=sys.stderr if _has_descriptor(sys.stderr) else subprocess.DEVNULL,
                cwd=os.sep,
            )
        except OSError as error:
            self._reporter.warn(
                f"nothing can be started to bring the rest of the text ({(error.strerror or str(error)).lower()})",
                about="feeder",
            )

    def _compare(self, n_parts: int) -> None:
        """What has come must be what the run has learned from before; what is new is remembered."""
        for number in range(self._compared, n_parts):
            record = read_record(self._corpus.folder, number)
            if record is None:
                continue  # it was here a moment ago
            if number >= len(self._known):
                self._known.append(record.tokens.sha256)
            elif record.tokens.sha256 != self._known[number]:
                raise RunError(
                    f"part {number + 1} of {self._corpus.plan.title} is not what this run has learned from (its "
                    f"SHA-256 is {record.tokens.sha256[:12]} and was {self._known[number][:12]}); put the old text "
                    "back, or start a new run"
                )
        self._compared = n_parts
        try:
            write_record(self._run_folder / PARTS_FILE, LearnedParts(sha256=self._known))
        except RunError as error:
            # Without it a text that changes goes unnoticed where the cache is lost, too; no reason to stop.
            self._reporter.warn(str(error), about="parts")
        else:
            self._reporter.withdraw("parts")

    def _tell(self) -> None:
        plan = self._corpus.plan
        known = read_problem(self._corpus.folder)
        if known is not None and known.is_final:
            self.problem = known.sentence
            return
        if known is not None:
            self._reporter.warn(f"the text does not arrive: {known.sentence}", about="text")
        else:
            self._reporter.withdraw("text")
        self._expected = self._expected or bytes_expected(plan, self._corpus.folder)
        come = min(bytes_here(plan.corpus, plan.train), self._expected)
        activity = f"waiting for the text: {figures.memory(come)} of {figures.memory(self._expected)}"
        if self._reporter.status.activity != activity:
            if not self._reporter.status.activity.startswith("waiting"):
                say(activity)
            self._reporter.update(activity=activity)


def _has_descriptor(stream: object) -> bool:
    try:
        stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
    return True
