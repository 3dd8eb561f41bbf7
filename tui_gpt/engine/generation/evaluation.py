"""How well a network predicts a text: every token once, in non-overlapping windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.network import GPT
from tui_gpt.engine.network.loss import sum_loss
from tui_gpt.engine.text.dialogues.packing import PackedRows
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.mixing import MixedCorpus
from tui_gpt.engine.text.prepared import PreparedCorpus

if TYPE_CHECKING:
    from tui_gpt.engine.interop.huggingface import LoadedModel

_BATCH_TOKENS = 8192
"""About so many tokens are read at a time."""

Tokens = NDArray[np.unsignedinteger[Any]] | NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Cross-entropy in nats per token, and how many tokens were predicted."""

    loss: float
    n_tokens: int
    parts: dict[str, float] = field(default_factory=dict)
    """Of a mix, the loss on each corpus by its name; `loss` is their mean by shares."""


@dataclass(frozen=True, slots=True)
class TextEvaluation:
    """How well a model predicts a text. The first token has nothing before it and does not count."""

    loss: float
    """Nats per token."""
    perplexity: float
    bits_per_byte: float
    """Comparable across tokenizers: bits per UTF-8 byte of the predicted tokens."""
    tokens: int
    """Tokens that were predicted."""
    bytes: int
    """UTF-8 bytes that these tokens stand for."""


def evaluate_tokens(
    network: GPT,
    tokens: Tokens,
    *,
    max_tokens: int | None = None,
    batch_tokens: int = _BATCH_TOKENS,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """The mean loss over `tokens` (N), perhaps a memory-mapped array, each predicted once except the first.

    Window i reads the tokens i P to i P + P - 1 (P being `n_positions`) and predicts those one further; the last may be
    shorter. With `max_tokens`, at most so many are predicted, in whole windows spread evenly over the text: always the
    same ones. About `batch_tokens` tokens are read at a time. `progress` hears how many of how many are done. A network
    in training mode is put back into it. Raises ValueError for fewer than two tokens.
    """
    if len(tokens) < 2:
        raise ValueError(f"{len(tokens)} tokens: the first has no prediction, so at least 2 are needed")
    starts, rest = _windows(len(tokens) - 1, network.config.n_positions, max_tokens)
    length = network.config.n_positions
    rows = max(1, batch_tokens // length)
    batches = [(starts[i : i + rows], length) for i in range(0, len(starts), rows)]
    if rest:
        batches.append((np.array([rest[0]]), rest[1]))
    total_tokens = sum(len(begins) * size for begins, size in batches)
    total, done = 0.0, 0
    with _in_evaluation(network):
        for begins, size in batches:
            windows = tokens[begins[:, None] + np.arange(size + 1)].astype(np.int64)
            total += _batch_loss(network, windows[:, :-1], windows[:, 1:])
            done += len(begins) * size
            if progress is not None:
                progress(done, total_tokens)
    return Evaluation(total / total_tokens, total_tokens)


def evaluate_corpus(
    network: GPT,
    corpus: PreparedCorpus,
    *,
    max_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """The mean loss over a corpus' validation part, arguments as for `evaluate_tokens`.

    Of conversations, over answers: they are read in rows, of which `max_tokens` takes some, evenly spread. Of a mix,
    the mean of its corpora's by their shares.
    """
    if isinstance(corpus, MixedCorpus):
        return _evaluate_mix(network, corpus, max_tokens, progress)
    if isinstance(corpus, PreparedDialogues):
        return _evaluate_rows(network, corpus.validation_rows(network.config.n_positions), max_tokens, progress)
    return evaluate_tokens(network, corpus.validation.tokens, max_tokens=max_tokens, progress=progress)


def _evaluate_rows(
    network: GPT, rows: PackedRows, max_tokens: int | None, progress: Callable[[int, int], None] | None
) -> Evaluation:
    length = network.config.n_positions
    wanted = len(rows) if max_tokens is None else min(len(rows), max(1, max_tokens // length))
    chosen = np.arange(wanted, dtype=np.int64) * len(rows) // wanted
    together = max(1, _BATCH_TOKENS // length)
    total, n_targets = 0.0, 0
    with _in_evaluation(network):
        for start in range(0, wanted, together):
            batch = rows.take(chosen[start : start + together])
            total += _batch_loss(network, batch.ids, batch.targets, batch.segments)
            n_targets += batch.n_targets
            if progress is not None:
                progress(min(wanted, start + together), wanted)
    return Evaluation(total / n_targets, n_targets)


@contextmanager
def _in_evaluation(network: GPT) -> Iterator[None]:
    """A network in training mode is put back into it."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _evaluate_mix(
    network: GPT, mix: MixedCorpus, max_tokens: int | None, progress: Callable[[int, int], None] | None
) -> Evaluation:
    """Each corpus' own loss, over its share of `max_tokens`, and the mean of them by shares."""
    most = [None if max_tokens is None else max(1, round(share * max_tokens)) for share in mix.shares]
    total = sum(
        min(part.validation.n_tokens - 1, n or part.validation.n_tokens)
        for part, n in zip(mix.corpora, most, strict=True)
    )
    n_tokens, loss, losses = 0, 0.0, {}
    for part, share, n in zip(mix.corpora, mix.shares, most, strict=True):
        before = n_tokens

        def show(done: int, _total: int, before: int = before) -> None:
            if progress is not None:
                progress(min(before + done, total), total)

        found = evaluate_tokens(network, part.validation.tokens, max_tokens=n, progress=show)
        n_tokens += found.n_tokens
        loss += share * found.loss
        losses[part.source] = found.loss
    return Evaluation(loss, n_tokens, losses)


def _windows(predictions: int, length: int, max_tokens: int | None) -> tuple[NDArray[np.int64], tuple[int, int] | None]:
    """Where the full windows begin, and (begin, length) of a shorter one at the end."""
    full, left = divmod(predictions, length)
    if max_tokens is None or max_tokens >= predictions:
        return np.arange(full, dtype=np.int64) * length, (full * length, left) if left else None
    wanted = max_tokens // length
    if not wanted:
        return np.empty(0, dtype=np.int64), (0, max(1, max_tokens))
    wanted = min(wanted, full)
    return np.arange(wanted, dtype=np.int64) * full // wanted * length, None


@torch.inference_mode()
def _batch_loss(
    network: GPT, ids: NDArray[np.int64], targets: NDArray[np.int64], segments: NDArray[np.int64] | None = None
) -> float:
    """Summed nats over targets (B, T)."""
    device = network.token_embedding.weight.device
    within = None if segments is None else torch.from_numpy(segments).to(device)
    hidden = network.hidden(torch.from_numpy(ids).to(device), segments=within)
    return float(sum_loss(hidden, network.head_weight, torch.from_numpy(targets).to(device)))


def evaluate_text(
    loaded: LoadedModel, text: str, *, progress: Callable[[int, int], None] | None = None
) -> TextEvaluation:
    """How well a model predicts `text`. Raises CorpusError for a text too short or not encodable by its tokenizer."""
    tokens = loaded.tokenizer.encode_array(text)
    if len(tokens) < 2:
        raise CorpusError(f"the text has {len(tokens)} tokens, and at least 2 are needed to predict one from the other")
    result = evaluate_tokens(loaded.network, tokens, progress=progress)
    n_bytes = len(text.encode()) - len(loaded.tokenizer.token_bytes(int(tokens[0])))
    nats = result.loss * result.n_tokens
    return TextEvaluation(
        loss=result.loss,
        perplexity=math.exp(result.loss) if result.loss < 700 else math.inf,
        bits_per_byte=nats / math.log(2) / n_bytes,
        tokens=result.n_tokens,
        bytes=n_bytes,
    )
