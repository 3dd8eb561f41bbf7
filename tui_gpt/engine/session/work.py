"""What makes and measures: corpora, runs, models of the library, the machine's speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tui_gpt.core.config import RunConfig, problems
from tui_gpt.core.errors import ConfigError, CorpusError
from tui_gpt.core.messages import (
    Begin,
    Begun,
    Calibrate,
    Calibrated,
    Explore,
    Explored,
    Fork,
    ListTokens,
    Publish,
    Published,
    TokenRows,
    TokensListed,
    TokenText,
)
from tui_gpt.core.token_text import token_text
from tui_gpt.engine.session.lanes import Turn

if TYPE_CHECKING:
    from tui_gpt.engine.text.tokenizer import Tokenizer

_MOST_CHARACTERS = 10_000
_TOKENS_AT_ONCE = 1000
"""On a line of at most a megabyte, which a screen reads between two key presses."""


def explore(request: Explore, turn: Turn) -> Explored:
    """Prepare a corpus and tell what is in it. Loads no torch. Raises CorpusError, ConfigError."""
    from tui_gpt.engine.text.prepare import prepare

    prepared = prepare(request.data, progress=turn.progress, fetch=request.fetch)
    line, problem = request.text[:_MOST_CHARACTERS], ""
    if line:
        tokens, problem = _tokens(prepared.tokenizer, line)
    else:
        line, ids = prepared.first_line()
        tokens = _texts_of(prepared.tokenizer, ids)
    return Explored(
        id=request.id,
        source=prepared.source,
        sha256=prepared.sha256,
        train_tokens=prepared.train.n_tokens,
        validation_tokens=prepared.validation.n_tokens,
        line=line,
        line_tokens=tokens,
        line_problem=problem,
        **(msgspec.to_builtins(prepared.facts) | {"repeats": prepared.facts.repeats}),
    )


def list_tokens(request: ListTokens, turn: Turn) -> TokensListed:
    """Prepare a corpus and tell its tokens, some at a time. Loads no torch. Raises CorpusError, ConfigError."""
    from tui_gpt.engine.text.prepare import prepare
    from tui_gpt.engine.text.token_counts import token_counts

    prepared = prepare(request.data, progress=turn.progress)
    tokenizer = prepared.tokenizer
    counts = token_counts(prepared, turn.progress)
    for first in range(0, len(counts), _TOKENS_AT_ONCE):
        turn.check()
        part = counts[first : first + _TOKENS_AT_ONCE].tolist()
        contents = [tokenizer.token_bytes(first + number) for number in range(len(part))]
        texts = [token_text(content) for content in contents]
        turn.send(TokenRows(id=request.id, first=first, texts=texts, lengths=[len(c) for c in contents], counts=part))
    return TokensListed(
        id=request.id,
        source=prepared.source,
        tokenizer=tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        train_tokens=prepared.train.n_tokens,
        end_of_text=tokenizer.eot_id,
    )


def _tokens(tokenizer: Tokenizer, line: str) -> tuple[list[TokenText], str]:
    """The tokens of a line, or why there are none: what a person typed may have characters the corpus lacks."""
    try:
        ids = tokenizer.encode(line)
    except CorpusError as error:
        return [], str(error)
    return _texts_of(tokenizer, ids), ""


def _texts_of(tokenizer: Tokenizer, ids: Sequence[int]) -> list[TokenText]:
    return [TokenText(id=i, text=tokenizer.token_bytes(i).decode("utf-8", "backslashreplace")) for i in ids]


def begin(request: Begin, turn: Turn) -> Begun:
    """Make a run's folder. Raises what `begin_run` raises."""
    from tui_gpt.engine.training.begin import begin_run

    run = begin_run(_checked(request.config), request.name, progress=turn.progress, origin=request.origin)
    return Begun(id=request.id, run=run.name)


def fork(request: Fork, _turn: Turn) -> Begun:
    """Make a run that goes on from a checkpoint of another. Raises what `fork_run` raises."""
    from tui_gpt.core.runs.store import RunStore
    from tui_gpt.engine.training.forking import fork_run

    source = RunStore().open(request.run)
    run = fork_run(source, request.name, checkpoint=request.checkpoint, changes=request.changes)
    return Begun(id=request.id, run=run.name)


def calibrate(request: Calibrate, turn: Turn) -> Calibrated:
    """Measure the speed of training. Raises ConfigError, MemoryLimitError."""
    from tui_gpt.engine.training.calibration import calibrate as measure

    turn.progress("starting", 0.0)
    found = measure(_checked(request.config), request.seconds, turn.progress, turn.cancelled)
    turn.check()
    return Calibrated(id=request.id, **msgspec.to_builtins(found))


def publish(request: Publish, _turn: Turn) -> Published:
    """Put the best checkpoint of an ended run into the library. Raises RunError, ModelError."""
    from tui_gpt.core.runs.store import RunStore
    from tui_gpt.engine.training.publishing import publish_ended_run

    entry = publish_ended_run(RunStore().open(request.run), request.name)
    return Published(id=request.id, model=entry.name)


def _checked(config: RunConfig) -> RunConfig:
    """`config`, whose fields a line of JSON checked one by one. Raises ConfigError for what does not go together."""
    for problem in problems(config):
        raise ConfigError(problem.path, problem.message)
    return config
