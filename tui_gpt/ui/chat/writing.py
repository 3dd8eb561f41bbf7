"""A reply as it is being written: pieces come in, text that can be shown comes out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tui_gpt.core.chat_history import Reply
from tui_gpt.core.guards.guard import Verdict
from tui_gpt.core.messages import Generated, Generating, Wrote
from tui_gpt.core.safe_stream import SafeStream


class _Sample:
    """One continuation: what the model wrote, and what of it is shown already."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.tokens = 0
        self.new: list[str] = []
        self.stream = SafeStream()

    def add(self, text: str, is_token: bool) -> None:
        self.tokens += is_token
        if text:
            self.written.append(text)
            self.new.append(self.stream.push(text))


class Writing:
    """All samples of one request. The clock begins when it is made."""

    def __init__(self, n_samples: int) -> None:
        self._samples = [_Sample() for _ in range(n_samples)]
        self._began = time.monotonic()
        self._first: float | None = None
        self.source: Generating | None = None
        """Who writes, and with which seed; None as long as nobody does."""
        self.verdict: Verdict | None = None
        """Of the guard that let the prompt through; None where none was asked."""

    @property
    def anything(self) -> bool:
        """Whether a token came."""
        return self._first is not None

    def begin(self, generating: Generating) -> None:
        """The model is there."""
        self.source = generating

    def add(self, wrote: Wrote) -> None:
        """Pieces that came."""
        for piece in wrote.pieces:
            if piece.sample < len(self._samples):
                self._samples[piece.sample].add(piece.text, piece.token_id is not None)
        if self._first is None:
            self._first = time.monotonic() - self._began

    def take(self) -> list[tuple[int, str]]:
        """What is new since the last time, as safe text by sample."""
        taken = []
        for number, sample in enumerate(self._samples):
            if sample.new:
                if text := "".join(sample.new):
                    taken.append((number, text))
                sample.new.clear()
        return taken

    def flush(self) -> None:
        """Nothing more will come: `take` gives the rest."""
        for sample in self._samples:
            sample.new.append(sample.stream.flush())

    def replies(self, reasons: Sequence[str] | str, generated: Generated | None = None) -> list[Reply]:
        """What was written. `reasons` says why each sample, or why all of them, ended."""
        source = self.source
        seconds = generated.seconds if generated else time.monotonic() - self._began
        first = generated.first_token_seconds if generated else self._first
        return [
            Reply(
                text="".join(sample.written),
                title=source.title if source else "",
                step=source.step if source else None,
                seed=source.seed if source else None,
                sample=number,
                tokens=sample.tokens,
                seconds=seconds,
                first_token_seconds=first,
                reason=reasons if isinstance(reasons, str) else reasons[number] if number < len(reasons) else "",
                verdict=self.verdict,
                answer=source.answers if source else False,
                forgotten=source.dropped if source else 0,
            )
            for number, sample in enumerate(self._samples)
        ]
