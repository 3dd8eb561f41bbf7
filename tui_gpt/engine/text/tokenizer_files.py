"""`tokenizer.json` and `tokenizer_config.json`, read strictly: our own, and foreign ones of the same kinds."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tui_gpt.core.errors import ModelError
from tui_gpt.core.given_files import is_too_deep, read_given
from tui_gpt.engine.text.bpe_tokenizer import REGEX, BpeTokenizer, Pattern
from tui_gpt.engine.text.byte_alphabet import BYTES_IN_ORDER, to_bytes
from tui_gpt.engine.text.char_tokenizer import ANY_CHARACTER, CharTokenizer
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_writing import CONFIGURATION_FILE, TEMPLATE_FILE, TOKENIZER_FILE

LARGEST_BYTES = 64 << 20
"""Of `tokenizer.json`."""
_LARGEST_PART_BYTES = 1 << 16
"""Of the description of a pre-tokenizer, say. Qwen2's has a thousand bytes."""
_NONE = msgspec.Raw(b"null")
_LARGEST_ID = 4_000_000
# Of GPT-2's 50256 mergeable tokens, each followed by a line end, in order of their ids.
_GPT2_TOKENS_SHA256 = "15eb3e208283400182951eb6afca1a79d5d9e9d54128d2182822a6d92700eac9"


class _AddedToken(msgspec.Struct):
    id: int
    content: str
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


class _Model(msgspec.Struct):
    vocab: dict[str, int]
    type: str | None = None
    merges: list[str | tuple[str, str]] | None = None
    dropout: float | None = None
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    byte_fallback: bool | None = None


class _TokenizerJson(msgspec.Struct):
    model: _Model
    added_tokens: list[_AddedToken] = []
    # Read only once their size is known: as tables and lists, JSON takes some twenty times its bytes.
    normalizer: msgspec.Raw = _NONE
    pre_tokenizer: msgspec.Raw = _NONE
    post_processor: msgspec.Raw = _NONE
    decoder: msgspec.Raw = _NONE


class _Parts(NamedTuple):
    """What a tokenizer does around its model, as it is written in the file."""

    normalizer: Any
    pre_tokenizer: Any
    post_processor: Any
    decoder: Any


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer whose `tokenizer.json` lies in `folder`: one of ours, or a byte-level BPE like GPT-2's or Qwen2's.

    Raises ModelError when the file is missing, damaged, or describes another kind of tokenizer.
    """
    path = folder / TOKENIZER_FILE
    content = _read(path)
    try:
        parsed = msgspec.json.decode(content, type=_TokenizerJson)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} is not a readable tokenizer file ({error}); save or download it again") from None
    parts = _Parts(
        *(_part(path, raw) for raw in (parsed.normalizer, parsed.pre_tokenizer, parsed.post_processor, parsed.decoder))
    )
    if parsed.model.type == "WordLevel":
        return _character_tokenizer(path, parsed, parts, _configuration_of(folder))
    if parsed.model.type == "BPE" or (parsed.model.type is None and parsed.model.merges is not None):
        return _bpe_tokenizer(path, parsed, parts, (content.decode("utf-8"), _configuration_of(folder)))
    raise _unsupported(path, f"its model is of the type {str(parsed.model.type)[:40]!r}")


def _read(path: Path) -> bytes:
    try:
        return read_given(path, LARGEST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{path} does not exist, so that there is no tokenizer for this model; add the file to the folder"
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise ModelError(
                f"{path} has more than {LARGEST_BYTES >> 20} MB, which no supported tokenizer needs; download it again"
            ) from None
        raise ModelError(f"{path} cannot be read: {error}; check what lies there and its permissions") from None


def _unsupported(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} describes a tokenizer that is not supported: {why}; supported are tui-gpt's own and byte-level BPE "
        "like GPT-2's and Qwen2's"
    )


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} contradicts itself: {why}; save or download it again")


def _part(path: Path, raw: msgspec.Raw) -> Any:
    content = bytes(raw)
    if len(content) > _LARGEST_PART_BYTES:
        raise _unsupported(path, f"the description of one of its parts has {len(content):,} bytes")
    part = msgspec.json.decode(content)
    if is_too_deep(part):
        raise _unsupported(path, "the description of one of its parts is nested too deeply")
    return part


def _type_of(part: Any) -> str | None:
    return part.get("type") if isinstance(part, dict) else None


def _adds_nothing(processor: Any) -> bool:
    """Whether no token is put around a text: transformers writes a form for that, where there was none, too."""
    if processor is None or _type_of(processor) == "ByteLevel":
        return True
    return _type_of(processor) == "TemplateProcessing" and processor.get("special_tokens") == {}


def _character_tokenizer(
    path: Path, parsed: _TokenizerJson, parts: _Parts, configuration: dict[str, Any]
) -> CharTokenizer:
    split = parts.pre_tokenizer
    if (
        _type_of(split) != "Split"
        or split.get("pattern") != {"Regex": ANY_CHARACTER}
        or _type_of(parts.decoder) != "Fuse"
    ):
        raise _unsupported(path, "it splits text into words and not into single characters")
    if parts.normalizer is not None or not _adds_nothing(parts.post_processor):
        raise _unsupported(path, "it has characters with normalisation")
    vocabulary = parsed.model.vocab
    if not vocabulary or any(len(key) != 1 for key in vocabulary):
        raise _damaged(path, "an entry of its alphabet is not one character")
    specials = _specials(path, parsed)
    tokenizer = CharTokenizer(vocabulary, sorted(specials, key=lambda content: specials[content]), configuration)
    if any(vocabulary[character] != number for number, character in enumerate(tokenizer.characters)):
        raise _damaged(path, "its characters are not numbered in their order")
    if dict(tokenizer.specials) != specials:
        raise _damaged(path, "its special tokens are not numbered behind its characters")
    return tokenizer


def _bpe_tokenizer(
    path: Path, parsed: _TokenizerJson, parts: _Parts, original: tuple[str, dict[str, Any]]
) -> BpeTokenizer:
    model = parsed.model
    if (
        model.dropout
        or model.unk_token
        or model.continuing_subword_prefix
        or model.end_of_word_suffix
        or model.byte_fallback
    ):
        raise _unsupported(path, "its BPE has dropout, an unknown token, prefixes, suffixes or byte fallback")
    if parts.normalizer is not None and parts.normalizer != {"type": "NFC"}:
        raise _unsupported(path, "it changes the text first in a way other than NFC")
    if not _adds_nothing(parts.post_processor):
        raise _unsupported(path, "it puts tokens around the text")
    if _type_of(parts.decoder) != "ByteLevel":
        raise _unsupported(path, "it is not byte-level")
    pattern = _pattern(path, parts.pre_tokenizer)
    specials = _specials(path, parsed)
    _check_ids(path, [*model.vocab.values(), *specials.values()])
    tokens, merges = _tokens(path, model)
    ids = [model.vocab[written] for written in tokens]
    by_priority = list(tokens.values())
    plain = ids == list(range(len(ids)))
    return BpeTokenizer(
        by_priority,
        merges=merges,
        ids=None if plain else ids,
        specials=specials,
        pattern=pattern,
        nfc=parts.normalizer is not None,
        kind="gpt2" if plain and _tokens_sha256(by_priority) == _GPT2_TOKENS_SHA256 else "bpe",
        original=original,
    )


def _tokens_sha256(tokens: list[bytes]) -> str:
    return hashlib.sha256(b"".join(token + b"\n" for token in tokens)).hexdigest()


def _pattern(path: Path, pre_tokenizer: Any) -> Pattern:
    if _type_of(pre_tokenizer) == "ByteLevel":
        if pre_tokenizer.get("add_prefix_space") is False and pre_tokenizer.get("use_regex", True) is True:
            return "gpt2"
        raise _unsupported(path, "it puts a space before the text, or has no pattern that splits words")
    if (
        _type_of(pre_tokenizer) == "Sequence"
        and isinstance(parts := pre_tokenizer.get("pretokenizers"), list)
        and len(parts) == 2
    ):
        split, level = parts
        if (
            _type_of(split) == "Split"
            and split.get("pattern") == {"Regex": REGEX["qwen2"]}
            and split.get("behavior") == "Isolated"
            and split.get("invert") is False
            and _type_of(level) == "ByteLevel"
            and level.get("add_prefix_space") is False
            and level.get("use_regex") is False
        ):
            return "qwen2"
    raise _unsupported(path, "it splits words by a pattern that is neither GPT-2's nor Qwen2's")


def _specials(path: Path, parsed: _TokenizerJson) -> dict[str, int]:
    written_of_id = {number: written for written, number in parsed.model.vocab.items()}
    specials: dict[str, int] = {}
    for token in parsed.added_tokens:
        if not token.content or token.content in specials:
            raise _damaged(path, f"the added token {token.content[:40]!r} is empty or there twice")
        if parsed.model.vocab.get(token.content, token.id) != token.id:
            raise _damaged(path, f"the added token {token.content[:40]!r} has two ids")
        if written_of_id.get(token.id, token.content) != token.content:
            raise _damaged(path, f"the added token {token.content[:40]!r} has the id of another token")
        written_of_id[token.id] = token.content
        specials[token.content] = token.id
    return specials


def _check_ids(path: Path, ids: list[int]) -> None:
    outside = next((number for number in ids if not 0 <= number <= _LARGEST_ID), None)
    if outside is not None:
        raise _damaged(path, f"the id {str(outside)[:20]} is outside 0 to {_LARGEST_ID}")


def _tokens(path: Path, model: _Model) -> tuple[dict[str, bytes], list[tuple[bytes, bytes]]]:
    """Tokens in order of priority (as written: their bytes), single bytes first, and the merges behind them."""
    if len(set(model.vocab.values())) != len(model.vocab):
        raise _damaged(path, "two tokens have the same id")
    single = {
        written: token for written in model.vocab if len(written) == 1 and (token := to_bytes(written)) is not None
    }
    if len(single) != len(BYTES_IN_ORDER):
        raise _unsupported(path, f"it knows {len(single)} of the 256 single bytes")
    tokens = dict(sorted(single.items(), key=lambda item: model.vocab[item[0]]))
    merges: list[tuple[bytes, bytes]] = []
    for merge in model.merges or []:
        left, right = _pair(path, merge)
        merged = left + right
        if left not in tokens or right not in tokens or merged not in model.vocab:
            raise _damaged(path, f"the merge of {left[:40]!r} and {right[:40]!r} is of or to a token that is not there")
        if merged in tokens:
            raise _unsupported(path, f"two of its merges make the same token {merged[:40]!r}")
        tokens[merged] = tokens[left] + tokens[right]
        merges.append((tokens[left], tokens[right]))
    return tokens, merges


def _pair(path: Path, merge: str | tuple[str, str]) -> tuple[str, str]:
    if not isinstance(merge, str):
        return merge
    left, space, right = merge.partition(" ")
    if not space:
        raise _damaged(path, f"the merge {merge[:40]!r} is not of two tokens")
    return left, right


def _configuration_of(folder: Path) -> dict[str, Any]:
    """The tokenizer's configuration, with the chat template that newer folders have in a file of its own."""
    configuration = _read_configuration(folder / CONFIGURATION_FILE)
    try:
        template = read_given(folder / TEMPLATE_FILE, _LARGEST_PART_BYTES).decode("utf-8")
    except (OSError, ValueError):  # none, or none that could be used: then the model continues texts
        return configuration
    return {**configuration, "chat_template": template}


def _read_configuration(path: Path) -> dict[str, Any]:
    """The tokenizer's configuration beside it; empty when there is none. Raises ModelError when it is damaged."""
    if not path.exists():
        return {}
    try:
        configuration = msgspec.json.decode(_read(path), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} is not a readable configuration ({error}); save or download it again") from None
    if is_too_deep(configuration):
        raise ModelError(f"{path} is nested too deeply for a configuration; save or download it again")
    return configuration
