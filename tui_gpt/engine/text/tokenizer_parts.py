"""A tokenizer in two files, `vocab.json` and `merges.txt`, as GPT-2 and its likes had it before `tokenizer.json`."""

from __future__ import annotations

from pathlib import Path

from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer

from tui_gpt.core.errors import ModelError
from tui_gpt.core.given_files import read_given
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

VOCABULARY_FILE, MERGES_FILE = "vocab.json", "merges.txt"
_LARGEST = 64 << 20
_END_OF_TEXT = "<|endoftext|>"


def join_tokenizer(source: Path, target: Path) -> None:
    """Write `tokenizer.json` into `target` from the two files in `source`. Raises ModelError."""
    parts = {name: target / f".{name}" for name in (VOCABULARY_FILE, MERGES_FILE)}
    try:
        for name, copy in parts.items():
            # Through a copy of bounded size: the library reads whatever lies there.
            copy.write_bytes(read_given(source / name, _LARGEST))
        tokenizer = ByteLevelBPETokenizer(str(parts[VOCABULARY_FILE]), str(parts[MERGES_FILE]))
        if tokenizer.token_to_id(_END_OF_TEXT) is not None:
            tokenizer.add_special_tokens([_END_OF_TEXT])
        tokenizer.save(str(target / TOKENIZER_FILE))
    except FileNotFoundError as error:
        raise ModelError(f"there is neither {TOKENIZER_FILE} nor {Path(str(error.filename)).name}") from None
    except OSError as error:
        raise ModelError(f"its tokenizer cannot be read: {(error.strerror or str(error)).lower()}") from None
    except Exception as error:  # what the library raises has no class of its own
        raise ModelError(f"{VOCABULARY_FILE} and {MERGES_FILE} are no tokenizer ({error})") from None
    finally:
        for copy in parts.values():
            copy.unlink(missing_ok=True)
