"""Byte-level BPE: any text in, the same text out. `tiktoken` encodes, `tokenizers` writes the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tiktoken
from numpy.typing import NDArray

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.text.byte_alphabet import to_characters
from tui_gpt.engine.text.known_words import KnownWords
from tui_gpt.engine.text.tokenizer import END_OF_TEXT, UNKNOWN_ID_BYTES, TokenArray, Tokenizer, TokenizerKind
from tui_gpt.engine.text.tokenizer_writing import write_tokenizer

if TYPE_CHECKING:
    import tokenizers

Pattern = Literal["gpt2", "qwen2"]

QWEN2_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
REGEX: dict[Pattern, str] = {
    # GPT-2's pieces: contractions, words, numbers, punctuation (each with one leading space), white space without
    # the last of it. Possessive where giving back could never match, so that long runs need no stack.
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "qwen2": QWEN2_REGEX,
}

# No piece of either pattern crosses these: a space behind anything that is not white space; a line end behind a letter
# or digit; an ASCII mark or digit, or a CJK mark, behind a letter.
_SAFE_CUT = re.compile(r"(?<=\S) |(?<=[^\W_])\n|(?<=[A-Za-z\u4e00-\u9fff])[!-/0-9:-@\u3001\u3002\uff0c]")
_CUT_WINDOW = 1 << 6


class BpeTokenizer(Tokenizer):
    """A byte-level BPE with the pre-tokenizer of GPT-2 or of Qwen2."""

    def __init__(
        self,
        tokens: Sequence[bytes],
        *,
        merges: Sequence[tuple[bytes, bytes]] | None = None,
        ids: Sequence[int] | None = None,
        specials: Mapping[str, int],
        pattern: Pattern = "gpt2",
        nfc: bool = False,
        kind: TokenizerKind = "bpe",
        original: tuple[str, Mapping[str, Any]] | None = None,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        """A tokenizer from its tokens in order of merge priority, the 256 single bytes among them.

        `merges`: the pairs behind the tokens of two bytes and more, in the same order; left out, they are derived.
        `ids`: the id of each token; left out, its position. `specials`: tokens outside the merges, with their ids.
        `nfc`: normalise text to NFC first. `original`: tokenizer.json and the configuration it was read from, which
        `save` then writes again. `chat`: what the configuration says of conversations, where there is no original.
        """
        self._kind: TokenizerKind = kind
        self._tokens = list(tokens)
        self._merges = None if merges is None else list(merges)
        self._ids: NDArray[np.uint32] | None = None if ids is None else np.array(ids, dtype=np.uint32)
        self._specials = dict(specials)
        self._pattern: Pattern = pattern
        self._nfc = nfc
        self._original = original
        self._chat = dict(chat or {})
        self._bytes = self._byte_table()
        self._encoding = tiktoken.Encoding(
            f"tui-gpt-{kind}",
            pat_str=REGEX[pattern],
            mergeable_ranks={token: rank for rank, token in enumerate(self._tokens)},
            special_tokens={},
        )

    def _byte_table(self) -> list[bytes]:
        ids = range(len(self._tokens)) if self._ids is None else self._ids.tolist()
        highest = max([*ids, *self._specials.values()])
        table = [UNKNOWN_ID_BYTES] * (highest + 1)
        for number, token in zip(ids, self._tokens, strict=True):
            table[number] = token
        for content, number in self._specials.items():
            table[number] = content.encode("utf-8", "replace")
        return table

    @property
    def kind(self) -> TokenizerKind:
        return self._kind

    @property
    def pattern(self) -> Pattern:
        """By which text is split before it is encoded."""
        return self._pattern

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    @property
    def eot_id(self) -> int | None:
        return self._specials.get(END_OF_TEXT)

    @property
    def specials(self) -> Mapping[str, int]:
        return self._specials

    @property
    def chat_template(self) -> str | None:
        template = (self._chat if self._original is None else self._original[1]).get("chat_template")
        return template if isinstance(template, str) else None

    def for_chat(self, tokens: Sequence[str], template: str, end: str) -> BpeTokenizer:
        new = [content for content in tokens if content not in self._specials]
        specials = self._specials | {content: number for number, content in enumerate(new, self.vocab_size)}
        marks = {"eos_token": end, "chat_template": template}
        return BpeTokenizer(
            self._tokens,
            merges=self._merges,
            ids=None if self._ids is None else self._ids.tolist(),
            specials=specials,
            pattern=self._pattern,
            nfc=self._nfc,
            kind=self._kind,
            original=None if self._original is None else _with_specials(self._original, new, specials, marks),
            chat=marks,
        )

    def token_bytes(self, token: int) -> bytes:
        return self._bytes[token] if 0 <= token < len(self._bytes) else UNKNOWN_ID_BYTES

    def encode_array(self, text: str) -> TokenArray:
        if self._nfc:
            text = unicodedata.normalize("NFC", text)
        try:
            ranks: NDArray[Any] = self._encoding.encode_to_numpy(text, disallowed_special=())
        except UnicodeEncodeError:
            # Halves of surrogate pairs: joined where two belong together, U+FFFD where one is alone.
            return self.encode_array(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
        except ValueError:
            # Hundreds of thousands of spaces in a row overflow the stack of tiktoken's regular expressions.
            return np.array(self._reference.encode(text).ids, dtype=self.dtype)
        ids = ranks if self._ids is None else self._ids[ranks]
        return ids.astype(self.dtype)

    def encode_documents(self, segments: Sequence[str | None]) -> TokenArray:
        if self._known_words is None:
            return super().encode_documents(segments)
        normal = [segment and unicodedata.normalize("NFC", segment) for segment in segments] if self._nfc else segments
        try:
            return self._known_words.encode(normal).astype(self.dtype)
        except UnicodeEncodeError:  # halves of surrogate pairs, see encode_array
            return super().encode_documents(segments)

    @cached_property
    def _known_words(self) -> KnownWords | None:
        """What encodes long texts; None where their pieces are others than it knows of."""
        if self._pattern != "gpt2" or self.eot_id is None:
            return None
        return KnownWords(self.encode_array, self._encode_word, self.eot_id)

    def _encode_word(self, word: str) -> list[int]:
        ranks = self._encoding.encode_ordinary(word)
        return ranks if self._ids is None else [int(self._ids[rank]) for rank in ranks]

    def last_cut(self, text: str) -> int:
        window = _CUT_WINDOW
        while True:
            # One character more than the window, for what stands before the cut.
            start = max(0, len(text) - window)
            last = None
            for last in _SAFE_CUT.finditer(text, start):  # noqa: B007 (the last match is wanted)
                pass
            if last is not None:
                return last.start()
            if start == 0:
                return 0
            window *= 16

    @cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The pair behind each token of two bytes and more, in order of priority."""
        return derive_merges(self._tokens) if self._merges is None else self._merges

    @cached_property
    def _reference(self) -> tokenizers.Tokenizer:
        """The same tokenizer in `tokenizers`, without special tokens."""
        from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

        ids = range(len(self._tokens)) if self._ids is None else self._ids.tolist()
        vocabulary = {to_characters(token): number for number, token in zip(ids, self._tokens, strict=True)}
        merges = [(to_characters(left), to_characters(right)) for left, right in self.merges]
        fast = Tokenizer(models.BPE(vocabulary, merges))
        if self._pattern == "gpt2":
            fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        else:
            fast.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(REGEX[self._pattern]), "isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            )
        if self._nfc:
            fast.normalizer = normalizers.NFC()
        fast.post_processor = processors.ByteLevel(trim_offsets=False)
        fast.decoder = decoders.ByteLevel()
        return fast

    def save(self, folder: Path, model_max_length: int | None = None) -> None:
        if self._original is not None:
            text, configuration = self._original
            write_tokenizer(folder, text, configuration, model_max_length)
            return
        from tokenizers import AddedToken, Tokenizer

        fast = Tokenizer.from_str(self._reference.to_str())
        by_id = sorted(self._specials, key=lambda content: self._specials[content])
        # Ids are given out in this order from the end of the vocabulary on, which is where ours lie.
        fast.add_special_tokens([AddedToken(content, special=True, normalized=False) for content in by_id])
        marks = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT} if self.eot_id is not None else {}
        if self._chat:
            marks["pad_token"] = END_OF_TEXT if self.eot_id is not None else self._chat["eos_token"]
        write_tokenizer(folder, fast.to_str(pretty=True), marks | self._chat, model_max_length)


def _with_specials(
    original: tuple[str, Mapping[str, Any]], new: Sequence[str], specials: Mapping[str, int], marks: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Both files with more special tokens in them. Raises ModelError where their ids would be others."""
    from tokenizers import AddedToken, Tokenizer

    text, configuration = original
    fast = Tokenizer.from_str(text)
    fast.add_special_tokens([AddedToken(content, special=True, normalized=False) for content in new])
    if any(fast.token_to_id(content) != specials[content] for content in new):
        raise ModelError("its tokenizer has gaps among its ids, so that no tokens for conversations can be added to it")
    # A list of added tokens by ids would be one of those before.
    kept = {key: value for key, value in configuration.items() if key != "added_tokens_decoder"}
    return fast.to_str(pretty=True), {**kept, **marks}


def derive_merges(tokens: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """The pair from which BPE makes each token of two bytes and more, given all tokens in order of priority.

    A token's pair is what is left of its bytes when every merge of higher priority has been made.
    """
    ranks = {token: rank for rank, token in enumerate(tokens)}
    return [_last_pair(token, ranks) for token in tokens if len(token) > 1]


def _last_pair(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    parts = [token[i : i + 1] for i in range(len(token))]
    limit = ranks[token]
    while len(parts) > 2:
        rank, at = min((ranks.get(parts[i] + parts[i + 1], limit), i) for i in range(len(parts) - 1))
        if rank >= limit:
            raise ValueError(f"the token {token!r} is not made of two tokens of higher priority")
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]
