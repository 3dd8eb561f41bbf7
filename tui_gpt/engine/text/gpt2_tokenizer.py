"""GPT-2's own tokenizer, through tiktoken: two files that are downloaded once and then lie in the cache."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import tiktoken

from tui_gpt.core import files, locations
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.tokenizer import END_OF_TEXT

GPT2_N_MERGEABLE = 50_256

_ORIGIN = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"
_SHA256 = {
    _ORIGIN + "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    _ORIGIN + "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
}
_LARGEST_BYTES = 8 << 20
_SOCKET_SECONDS = 10.0
_TOTAL_SECONDS = 60.0
_CACHE_VARIABLES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")


@cache
def gpt2_tokenizer() -> BpeTokenizer:
    """GPT-2's 50257 tokens. Raises CorpusError when their files are neither in the cache nor to be had in a minute."""
    folder = tiktoken_cache_dir()
    for address, sha256 in _SHA256.items():
        _provide(folder, address, sha256)
    with _tiktoken_reads_from(folder):
        encoding = tiktoken.get_encoding("gpt2")
    tokens = [encoding.decode_single_token_bytes(number) for number in range(GPT2_N_MERGEABLE)]
    return BpeTokenizer(tokens, specials={END_OF_TEXT: GPT2_N_MERGEABLE}, kind="gpt2")


def tiktoken_cache_dir() -> Path:
    """Where tiktoken's files lie: the user's choice if there is one, else a folder in our cache."""
    chosen = next((os.environ[name] for name in _CACHE_VARIABLES if os.environ.get(name)), None)
    return Path(chosen) if chosen else locations.cache_dir() / "tiktoken"


def is_available_offline() -> bool:
    """Whether both files are in the cache and intact."""
    return all(_is_intact(_cached(tiktoken_cache_dir(), address), sha) for address, sha in _SHA256.items())


@contextmanager
def _tiktoken_reads_from(folder: Path) -> Iterator[None]:
    before = os.environ.get(_CACHE_VARIABLES[0])
    os.environ[_CACHE_VARIABLES[0]] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CACHE_VARIABLES[0]]
        else:
            os.environ[_CACHE_VARIABLES[0]] = before


def _cached(folder: Path, address: str) -> Path:
    # tiktoken names its cached files by the SHA-1 of their address.
    return folder / hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()


def _is_intact(path: Path, sha256: str) -> bool:
    try:
        return files.sha256_file(path) == sha256
    except OSError:
        return False


def _provide(folder: Path, address: str, sha256: str) -> None:
    """Download one file unless it is there. tiktoken's own download has no time limit, hence ours."""
    path = _cached(folder, address)
    if _is_intact(path, sha256):
        return
    content = _download(address)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CorpusError(_no_gpt2("what came from the network is not the file that it should be"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, content)
    except OSError as error:
        raise CorpusError(_no_gpt2(f"they cannot be stored in {folder}: {error.strerror}")) from None


def _download(address: str) -> bytes:
    outcome: list[bytes | str] = []
    # A thread, because looking up a host name cannot be given a time limit.
    worker = threading.Thread(target=lambda: outcome.append(_fetch(address)), daemon=True)
    worker.start()
    worker.join(_TOTAL_SECONDS)
    result = outcome[0] if outcome else f"no answer within {_TOTAL_SECONDS:g} seconds"
    if isinstance(result, str):
        raise CorpusError(_no_gpt2(result))
    return result


def _fetch(address: str) -> bytes | str:
    """The content, or why there is none."""
    deadline = time.monotonic() + _TOTAL_SECONDS
    content = bytearray()
    try:
        with urllib.request.urlopen(address, timeout=_SOCKET_SECONDS) as response:  # noqa: S310 (a constant https address)
            while chunk := response.read(1 << 16):
                content += chunk
                if time.monotonic() > deadline or len(content) > _LARGEST_BYTES:
                    return "the download takes too long"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return bytes(content)


def _no_gpt2(reason: str) -> str:
    return (
        f"the two files of GPT-2's tokenizer are not in {tiktoken_cache_dir()} and could not be downloaded ({reason}); "
        "choose the tokenizer bpe, which is trained on your text, or try again with a network"
    )
