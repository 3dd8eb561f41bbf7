"""One token per character: the classic for small texts with a small alphabet."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.tokenizer import UNKNOWN_ID_BYTES, TokenArray, Tokenizer, TokenizerKind
from tui_gpt.engine.text.tokenizer_writing import write_tokenizer

ANY_CHARACTER = r"[\s\S]"
"""Splits a text into characters in the regular expressions of `tokenizers`, line ends included."""

_ABSENT = -1


class CharTokenizer(Tokenizer):
    """Ids are positions in the sorted list of distinct characters."""

    def __init__(
        self,
        characters: Iterable[str],
        specials: Sequence[str] = (),
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        """`characters`: the alphabet, in any order; sorted by code point. `specials` have the ids behind them.

        `configuration` is what tokenizer_config.json says beside what it always says. Raises CorpusError when the
        alphabet is empty.
        """
        self.characters = "".join(sorted(set("".join(characters))))
        self._configuration = dict(configuration or {})
        if not self.characters:
            raise CorpusError("a character tokenizer needs at least one character; the text is empty")
        codes = _code_points(self.characters)
        self._id_of_code: NDArray[np.int32] = np.full(int(codes[-1]) + 2, _ABSENT, dtype=np.int32)
        self._id_of_code[codes] = np.arange(len(codes), dtype=np.int32)
        self._specials = {content: number for number, content in enumerate(specials, len(self.characters))}
        self._bytes = [text.encode("utf-8", "replace") for text in (*self.characters, *specials)]

    @property
    def kind(self) -> TokenizerKind:
        return "char"

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    @property
    def eot_id(self) -> int | None:
        return None

    @property
    def specials(self) -> Mapping[str, int]:
        return self._specials

    @property
    def chat_template(self) -> str | None:
        template = self._configuration.get("chat_template")
        return template if isinstance(template, str) else None

    def for_chat(self, tokens: Sequence[str], template: str, end: str) -> CharTokenizer:
        marks = {"eos_token": end, "pad_token": end, "chat_template": template}
        return CharTokenizer(
            self.characters, tuple(dict.fromkeys((*self._specials, *tokens))), self._configuration | marks
        )

    def encode_array(self, text: str) -> TokenArray:
        # Codes beyond the table fall on its last entry, which is absent by construction.
        codes = np.minimum(_code_points(text), len(self._id_of_code) - 1)
        ids = self._id_of_code[codes]
        if len(ids) and ids.min() == _ABSENT:
            self._refuse(text, int(np.argmax(ids == _ABSENT)))
        return ids.astype(self.dtype)

    def _refuse(self, text: str, position: int) -> None:
        character = text[position]
        name = unicodedata.name(character, "a character without a name")
        raise CorpusError(
            f"the character {character!r} (U+{ord(character):04X}, {name}) at position {position:,} is not among the "
            f"{len(self.characters)} characters that this tokenizer knows; leave it out, or train with the tokenizer "
            "bpe, which can write any text"
        )

    def token_bytes(self, token: int) -> bytes:
        return self._bytes[token] if 0 <= token < len(self._bytes) else UNKNOWN_ID_BYTES

    def last_cut(self, text: str) -> int:
        return len(text)

    def save(self, folder: Path, model_max_length: int | None = None) -> None:
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

        # Without an unknown token in the vocabulary, WordLevel refuses foreign characters instead of swallowing them.
        vocabulary = {character: number for number, character in enumerate(self.characters)}
        fast = Tokenizer(models.WordLevel(vocabulary, unk_token=""))
        fast.pre_tokenizer = pre_tokenizers.Split(Regex(ANY_CHARACTER), "isolated")
        fast.decoder = decoders.Fuse()
        fast.add_special_tokens([AddedToken(content, special=True, normalized=False) for content in self._specials])
        write_tokenizer(folder, fast.to_str(pretty=True), self._configuration, model_max_length)


def _code_points(text: str) -> NDArray[np.uint32]:
    # surrogatepass: a lone surrogate is then reported as an unknown character like any other.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
