"""How often each token occurs in the training part: counted once, kept beside the token files."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from tui_gpt.core import files
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.given_files import read_given
from tui_gpt.engine.text.mapped_tokens import let_go
from tui_gpt.engine.text.prepare import Progress
from tui_gpt.engine.text.prepared import PreparedCorpus

COUNTS_FILE = "token-counts.bin"
"""SHA-256 of the training file, the counts as little-endian 64-bit integers, SHA-256 of both."""
_CHUNK = 1 << 20
_DIGEST = 32


def token_counts(prepared: PreparedCorpus, progress: Progress | None = None) -> NDArray[np.int64]:
    """Occurrences of each id in the training part, shape (vocab_size,).

    Memory does not grow with the text. What was counted before is read back unless it belongs to other tokens or is
    damaged. Of a mix, in all its corpora together, whatever their shares. Raises CorpusError when the token files are
    damaged, and what `progress` raises.
    """
    if len(prepared.corpora) > 1:
        counts = np.zeros(prepared.tokenizer.vocab_size, dtype=np.int64)
        for part in prepared.corpora:
            counts += token_counts(part, progress)
        return counts
    vocabulary = prepared.tokenizer.vocab_size
    trained_on = bytes.fromhex(prepared.train_sha256)
    known = _read(prepared, trained_on, vocabulary)
    if known is not None:
        return known
    counts = _count(prepared, vocabulary, progress or (lambda step, done: None))
    content = trained_on + counts.astype("<i8").tobytes()
    # A cache that cannot be written, on a full disk say, costs the counting of the next time and nothing else.
    with suppress(OSError):
        files.write_bytes(prepared.folder / COUNTS_FILE, content + hashlib.sha256(content).digest(), durable=False)
    return counts


def _read(prepared: PreparedCorpus, trained_on: bytes, vocabulary: int) -> NDArray[np.int64] | None:
    expected = 2 * _DIGEST + 8 * vocabulary
    try:
        content = read_given(prepared.folder / COUNTS_FILE, expected)
    except OSError:
        return None
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    if len(content) != expected or body[:_DIGEST] != trained_on or hashlib.sha256(body).digest() != digest:
        return None
    return np.frombuffer(body, dtype="<i8", offset=_DIGEST).astype(np.int64)


def _count(prepared: PreparedCorpus, vocabulary: int, progress: Progress) -> NDArray[np.int64]:
    total, done = prepared.train.n_tokens, 0
    counts = np.zeros(vocabulary, dtype=np.int64)
    for tokens in prepared.train_tokens():
        for start in range(0, len(tokens), _CHUNK):
            progress("counting", min(1.0, done / total))
            chunk = tokens[start : start + _CHUNK]
            done += len(chunk)
            found = np.bincount(chunk, minlength=vocabulary)
            if len(found) > vocabulary:
                raise CorpusError(
                    f"{prepared.train.path} has the token {len(found) - 1:,}, and the tokenizer knows {vocabulary:,}: "
                    f"the file is damaged; delete {prepared.folder} and prepare the corpus again"
                )
            counts += found
            let_go(tokens)
    return counts
