"""A tokenizer that comes with a model, when a text is to be encoded by it and not by one made from the text."""

from __future__ import annotations

import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tui_gpt.core.errors import CorpusError
from tui_gpt.core.files import sha256_file
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.survey import Survey
from tui_gpt.engine.text.token_files import CHARACTER_SEPARATOR
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE


@dataclass(frozen=True)
class GivenTokenizer:
    """A tokenizer, and what tells it from every other one."""

    tokenizer: Tokenizer
    sha256: str
    """Of the `tokenizer.json` that it writes."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, scratch: Path) -> GivenTokenizer:
        """With the hash found by writing it once, below `scratch`. Raises OSError."""
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            tokenizer.save(Path(folder))
            return cls(tokenizer, sha256_file(Path(folder) / TOKENIZER_FILE))

    def is_in(self, folder: Path) -> bool:
        """Whether the token files in `folder` were made by it. Raises OSError."""
        return sha256_file(folder / TOKENIZER_FILE) == self.sha256

    def require_characters(self, surveyed: Survey, source: str) -> None:
        """Raise CorpusError naming the first character of the text that a tokenizer of characters has no token for."""
        separator = CHARACTER_SEPARATOR if len(surveyed.document_lengths) > 1 else ""
        self.require_alphabet(surveyed.alphabet + separator, source)

    def require_alphabet(self, alphabet: str, source: str) -> None:
        """As `require_characters`, of a text that has these characters."""
        if not isinstance(self.tokenizer, CharTokenizer):
            return
        unknown = sorted(set(alphabet) - set(self.tokenizer.characters))
        if unknown:
            first = unknown[0]
            name = unicodedata.name(first, "a character without a name")
            more = f", and {len(unknown) - 1} more," if len(unknown) > 1 else ""
            raise CorpusError(
                f"{source} needs the character {first!r} (U+{ord(first):04X}, {name}){more} beyond the "
                f"{len(self.tokenizer.characters)} characters that the model's tokenizer knows; replace what is "
                "unknown in the text, or train a new model with the tokenizer bpe, which can write any text"
            )
