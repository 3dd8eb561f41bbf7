"""What every tokenizer can do, and how tokens become text one at a time."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

TokenizerKind = Literal["char", "bpe", "gpt2"]
TokenArray = NDArray[np.unsignedinteger[Any]]

END_OF_TEXT = "<|endoftext|>"
UNKNOWN_ID_BYTES = "\N{REPLACEMENT CHARACTER}".encode()


class Tokenizer(ABC):
    """Text to token ids and back, without loss for every text that the tokenizer can represent.

    Special tokens are never recognised in text: `<|endoftext|>` typed by a person is thirteen ordinary characters.
    """

    @property
    @abstractmethod
    def kind(self) -> TokenizerKind:
        """`char`, `bpe` or `gpt2` (GPT-2's own 50257 tokens)."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Highest token id plus one, special tokens included."""

    @property
    @abstractmethod
    def eot_id(self) -> int | None:
        """Id of `<|endoftext|>`, which separates documents; None where there is no such token."""

    @property
    @abstractmethod
    def specials(self) -> Mapping[str, int]:
        """Tokens that no text gives, each with its id."""

    @property
    @abstractmethod
    def chat_template(self) -> str | None:
        """The Jinja template by which messages become text, as it stands in tokenizer_config.json; None without one."""

    @abstractmethod
    def for_chat(self, tokens: Sequence[str], template: str, end: str) -> Tokenizer:
        """The same tokenizer with these special tokens behind its own, this template, and `end` as the token that ends
        an answer. Those that it has already keep their ids."""

    @abstractmethod
    def encode_array(self, text: str) -> TokenArray:
        """The token ids of `text`, shape (n_tokens,), in `dtype`.

        Raises CorpusError when the tokenizer cannot represent a character.
        """

    def encode_documents(self, segments: Sequence[str | None]) -> TokenArray:
        """The ids of pieces of text one after the other, with `eot_id`, which there is, for every None among them.

        Raises CorpusError when the tokenizer cannot represent a character.
        """
        separator = np.array([self.eot_id], dtype=self.dtype)
        parts = [separator if segment is None else self.encode_array(segment) for segment in segments]
        return np.concatenate(parts)

    @abstractmethod
    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for: perhaps only a part of a character.

        An id without a token (a model's vocabulary may be padded) stands for U+FFFD.
        """

    @abstractmethod
    def last_cut(self, text: str) -> int:
        """Where `text` can be cut so that its parts give the ids of the whole, whatever follows; 0 if nowhere.

        That is, `encode(text[:cut]) + encode(text[cut:] + more) == encode(text + more)` for every `more`.
        """

    @abstractmethod
    def save(self, folder: Path, model_max_length: int | None = None) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` in Hugging Face's form into an existing folder."""

    @property
    def dtype(self) -> type[np.uint16] | type[np.uint32]:
        """The smallest unsigned type that token files use and every id fits into."""
        return np.uint16 if self.vocab_size <= 1 << 16 else np.uint32

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`. Raises CorpusError when the tokenizer cannot represent a character."""
        ids: list[int] = self.encode_array(text).tolist()
        return ids

    def decode(self, tokens: Iterable[int] | NDArray[Any]) -> str:
        """The text of the tokens; bytes that are not valid UTF-8 become U+FFFD."""
        return b"".join(self.token_bytes(int(token)) for token in tokens).decode("utf-8", errors="replace")

    def stream_decoder(self) -> StreamDecoder:
        """A decoder for tokens that arrive one at a time."""
        return StreamDecoder(self)


class StreamDecoder:
    """Text from tokens that arrive one at a time: bytes wait until they are whole characters.

    What all `push` and the final `flush` return, joined, is what `Tokenizer.decode` makes of the same tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The text that is certain now; empty while a character is incomplete."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def flush(self) -> str:
        """What is left when no more tokens come: U+FFFD for an incomplete character, else empty. Starts afresh."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest
