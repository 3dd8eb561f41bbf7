"""Which documents of a corpus are learned from, how they are cleaned up, and in which order: by the seed alone.

Documents are shuffled a part at a time, each part by itself, so that memory stays flat and so that what has arrived of
a corpus can be learned from before the rest is there.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.cleaning import cleaned
from tui_gpt.engine.text.formats.tables import LONGEST_ROW, as_document

PART_DOCUMENTS = 10_000
"""Documents that are shuffled among themselves, counted as they come, before any is left out."""

SHORT, REST = "left out: shorter than data.min_characters", "left out: beyond data.max_documents"

Document = Iterator[str]


@dataclass(frozen=True)
class Arrangement:
    """What is done with documents on their way, resolved: nothing of it depends on the corpus any more."""

    max_documents: int = 0
    min_characters: int = 0
    clean: bool = False
    shuffle_seed: int | None = None

    @classmethod
    def of(cls, data: DataConfig) -> Arrangement:
        """As a configuration says that leaves nothing to the corpus."""
        return cls(data.max_documents or 0, data.min_characters, data.clean == "on", data.shuffle_seed)

    @property
    def changes_nothing(self) -> bool:
        """Whether the documents stay what they are."""
        return self == Arrangement()

    def key(self) -> list[object]:
        """Equal for arrangements that make the same of the same documents."""
        return [self.max_documents, self.min_characters, self.clean, self.shuffle_seed, PART_DOCUMENTS]

    def to_train_on(self, documents: Iterable[Document], counts: Counter[str]) -> Iterator[Document]:
        """The documents in the order in which they are learned from; `counts` hears what was changed or left out."""
        if self.max_documents:
            documents = _first(documents, self.max_documents, counts)
        if self.shuffle_seed is None:
            yield from self.to_validate_on(documents, counts)
            return
        texts = self._texts(documents, counts)
        for number in itertools.count():
            part = list(itertools.islice(texts, PART_DOCUMENTS))
            if not part:
                return
            yield from map(as_document, self._in_order(part, number))

    def part_to_train_on(self, texts: Iterable[str], number: int, counts: Counter[str]) -> list[str]:
        """One part, of which these are all documents, in the order in which it is learned from."""
        return self._in_order(self._texts(map(as_document, texts), counts), number)

    def _in_order(self, texts: Iterable[str], part: int) -> list[str]:
        kept = [text for text in texts if text]
        if self.shuffle_seed is not None:
            _shuffle(kept, self.shuffle_seed, part)
        return kept

    def to_validate_on(self, documents: Iterable[Document], counts: Counter[str]) -> Iterator[Document]:
        """All documents in their order, cleaned up; those that are left out for their own sake are left out here."""
        if self.clean or self.min_characters:
            yield from (as_document(text) for text in self._texts(documents, counts) if text)
        else:
            yield from documents

    def _texts(self, documents: Iterable[Document], counts: Counter[str]) -> Iterator[str]:
        """Each document as a whole, or an empty text in the place of one that is left out."""
        for document in documents:
            text = _whole(document)
            if self.clean:
                text = cleaned(text, counts)
            if text and len(text) < self.min_characters:
                counts[SHORT] += 1
                text = ""
            yield text


def _first(documents: Iterable[Document], most: int, counts: Counter[str]) -> Iterator[Document]:
    for number, document in enumerate(documents):
        if number == most:
            counts[REST] += 1  # at least: nobody reads on to count them
            return
        yield document


def _whole(document: Document) -> str:
    blocks: list[str] = []
    length = 0
    for block in document:
        blocks.append(block)
        length += len(block)
        if length > LONGEST_ROW:
            raise CorpusError(
                f"a document has more than {LONGEST_ROW >> 20} MiB of text, too much to be cleaned up, counted or "
                "shuffled as a whole; leave data.clean, data.min_characters and data.shuffle_seed as they are for it"
            )
    return "".join(blocks)


def _shuffle(texts: list[str], seed: int, part: int) -> None:
    # Seeded by bytes of our own: what Python makes of a tuple or a text is its own business.
    digest = hashlib.sha256(f"tui-gpt documents {seed} {part}".encode()).digest()
    order = random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - an order, no secret
    for last in range(len(texts) - 1, 0, -1):
        other = int(order.random() * (last + 1))
        texts[last], texts[other] = texts[other], texts[last]


def in_sentences(counts: Counter[str]) -> tuple[str, ...]:
    """What was changed or left out, for people, the commonest first: `1,234 documents: broken characters mended`."""
    told = []
    for what, number in counts.most_common():
        if what == REST:
            told.append("the rest left out: beyond data.max_documents")
        else:
            told.append(f"{number:,} document{'' if number == 1 else 's'} {what}")
    return tuple(told)
