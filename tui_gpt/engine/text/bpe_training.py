"""Learning a byte-level BPE from text, with GPT-2's pre-tokenizer, as `tokenizers` does it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator

from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.byte_alphabet import to_bytes
from tui_gpt.engine.text.tokenizer import END_OF_TEXT

LONGEST_TOKEN = 128
"""Bytes in a token at the most (GPT-2's longest): a text without a space must not fill the vocabulary with itself."""

# Training takes time quadratic in the length of a piece, so that a megabyte without a space would take minutes.
_LONG_RUN = re.compile(r"\S{1000}|\s{1000}")


def train_bpe(texts: Iterable[str], vocab_size: int) -> BpeTokenizer:
    """A BPE of at most `vocab_size` tokens (256 bytes, merges, then `<|endoftext|>` as the last id).

    The same texts give the same tokenizer. A text too small for so many merges gives a smaller one.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    # Said explicitly, so that `tokenizers` does not warn when a process is started later.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    fast.train_from_iterator(_without_long_runs(texts), trainer)
    model = json.loads(fast.to_str())["model"]
    tokens = [_bytes(written) for written in sorted(model["vocab"], key=model["vocab"].__getitem__)]
    merges = [(_bytes(left), _bytes(right)) for left, right in model["merges"]]
    return BpeTokenizer(tokens, merges=merges, specials={END_OF_TEXT: len(tokens)})


def _without_long_runs(texts: Iterable[str]) -> Iterator[str]:
    """The texts, cut (each part is then learned from by itself) wherever a thousand characters know no word's end."""
    for text in texts:
        start = 0
        for run in _LONG_RUN.finditer(text):
            yield text[start : run.end()]
            start = run.end()
        yield text[start:]


def _bytes(written: str) -> bytes:
    token = to_bytes(written)
    assert token is not None, f"{written!r} is not byte-level"
    return token
