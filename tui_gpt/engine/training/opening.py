"""The text of a run as its trainer opens it: the one that the run began with, whatever has become of the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_gpt.core import locations
from tui_gpt.core.errors import CorpusError, RunError
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.text.mixing import require_intact
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.text.streaming.corpus import prepare_stream, require_parts_intact
from tui_gpt.engine.training.origins import start_tokenizer
from tui_gpt.engine.training.reporting import Reporter
from tui_gpt.engine.training.trainer import Interruption


class CalledAwayError(Exception):
    """A signal came before there was anything to save."""


def tell_or_leave(reporter: Reporter, interruption: Interruption, what: str, _share: float) -> None:
    """Show what is done to the text before training. Raises CalledAwayError."""
    if interruption.signum:
        raise CalledAwayError
    if what != reporter.status.activity:
        reporter.update(activity=what)


def open_corpus(run: Run, progress: Callable[[str, float], None] | None = None) -> PreparedCorpus:
    """The run's token files, made again if the cache lost or damaged them; of a text that arrives, its beginning.

    Raises CorpusError or RunError when the text has changed since, and what `progress` raises.
    """
    record = run.record
    tokenizer = start_tokenizer(run)
    # Every byte: a run that went on with other tokens than it began with would be another run, and nothing would show.
    if record.data.stream is not None:
        by_epochs = record.config.train.max_epochs is not None
        report = progress or (lambda _what, _share: None)
        corpus: PreparedCorpus = prepare_stream(record.data.stream, report, tokenizer, whole=by_epochs)
    else:
        corpus = prepare(record.config.data, tokenizer=tokenizer, verify=True)
    if corpus.sha256 != record.data.sha256:
        raise RunError(
            f"{record.data.source} is not the text that run {run.name} began with (its SHA-256 is "
            f"{corpus.sha256[:12]} and was {record.data.sha256[:12]}); put the old text back, or start a new run"
        )
    corpus.require_length(record.config.model.n_positions, can_shorten=tokenizer is None)
    return corpus


def damage_to_tokens(run: Run, error: Exception) -> str:
    """What happened to the token files, in a sentence, where they held a token that there is none of; else nothing."""
    # What a GPU says of an index that is out of range is an error of its own.
    if not isinstance(error, IndexError) and "device-side assert" not in str(error):
        return ""
    try:
        folder = locations.cache_dir() / "corpora" / Path(run.record.data.prepared).name
        if run.record.data.stream is not None:
            require_parts_intact(folder)
        else:
            require_intact(folder)
    except CorpusError as damage:
        return f"the token files were changed while run {run.name} learned from them ({damage}); resume the run"
    return ""
