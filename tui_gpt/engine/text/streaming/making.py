"""Making the parts of a text: fetched as far as a part needs, arranged, encoded, put in place whole."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import filelock
import msgspec

from tui_gpt.core import files
from tui_gpt.core.corpora import RemoteFile
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.fetched import downloads_folder, file_here, is_whole
from tui_gpt.core.streams import StreamPlan
from tui_gpt.engine.text.arranging import Arrangement
from tui_gpt.engine.text.formats.tables import as_document
from tui_gpt.engine.text.streaming.parts import (
    PartRecord,
    Stretch,
    TextFacts,
    open_part,
    part_file,
    read_record,
    read_stretch,
    record_file,
)
from tui_gpt.engine.text.survey import TextHash, survey
from tui_gpt.engine.text.token_files import DtypeName, FileRecord, TokenFileWriter
from tui_gpt.engine.text.tokenizer import Tokenizer

Progress = Callable[[str, float], None]
"""As of `prepare`; what it raises ends the work, which can be gone on with."""

_LOCK_FILE = "feeder.lock"
_LOCK_POLL_SECONDS = 0.2
_CHUNK = 1 << 20


class ChangedTextError(CorpusError):
    """A part that is made again has become another one: nobody can go on with this text."""


def arrangement_of(plan: StreamPlan) -> Arrangement:
    """What is done with the documents of a plan. How many there are, the plan says."""
    return Arrangement(0, plan.min_characters, plan.clean, plan.shuffle_seed)


def file_of(plan: StreamPlan, file: RemoteFile, documents: int, progress: Progress, *, fetch: bool) -> Path:
    """Where the first so many documents (0: all) of a file can be read, fetched first where `fetch` allows it.

    Raises CorpusError where it cannot be had, and what `progress` raises.
    """
    path = file_here(plan.corpus, file, documents)
    if path is None and not fetch:
        raise CorpusError(f"{plan.title} is not on this machine yet; `tui-gpt corpora fetch {plan.corpus}` fetches it")
    if path is None:
        from tui_gpt.engine.downloads.plain_file import fetch_file

        fetch_file(plan.title, file, downloads_folder(plan.corpus) / file.name, progress, documents=documents)
        path = file_here(plan.corpus, file, documents)
    if path is None:
        raise CorpusError(f"{file.name} was taken away while it was fetched; try again")
    return path


def stretch_of(plan: StreamPlan, number: int, begin: int, progress: Progress, *, fetch: bool) -> Stretch:
    """The documents of a part, which begins at that byte. Raises CorpusError, OSError and what `progress` raises."""
    until = plan.documents_until(number)
    path = file_of(plan, plan.train, until, progress, fetch=fetch)
    whole = is_whole(path, plan.train.n_bytes)
    return read_stretch(path, begin, until - number * plan.part_documents, whole=whole)


def validation_stretch(plan: StreamPlan, progress: Progress, *, fetch: bool) -> Stretch:
    """The documents to validate on. Raises as `stretch_of` does."""
    wanted = plan.validation_documents
    path = file_of(plan, plan.validation, wanted, progress, fetch=fetch)
    return read_stretch(path, 0, wanted, whole=is_whole(path, plan.validation.n_bytes))


def write_documents(path: Path, texts: Iterable[str], tokenizer: Tokenizer, workers: int, *, ends: bool) -> FileRecord:
    """Encode documents into a new file, each but the last followed by `<|endoftext|>`; with `ends` the last one too.

    Raises what the tokenizer raises, and OSError.
    """
    with ThreadPoolExecutor(workers) as pool:
        writer = TokenFileWriter(path, tokenizer, pool, workers)
        try:
            for number, text in enumerate(texts):
                if number and not ends:
                    writer.end_document()
                for block in as_document(text):
                    writer.write(block)
                if ends:
                    writer.end_document()
            return writer.close()
        finally:
            writer.abandon()


def facts_of(texts: list[str], empty: int, counts: Counter[str]) -> TextFacts:
    """What there is to tell about documents."""
    lengths = [len(text) for text in texts]
    # Of less, a survey would say that it is no text.
    found = survey(map(as_document, texts), lambda _n_bytes: None) if sum(lengths) > 1 else None
    return TextFacts(
        sha256=found.sha256 if found else TextHash().hexdigest(),
        documents=len(texts),
        characters=sum(lengths),
        bytes=found.bytes if found else len("".join(texts).encode()),
        alphabet=found.alphabet if found else "".join(texts),
        shortest=min(lengths, default=0),
        longest=max(lengths, default=0),
        empty=empty,
        counts=dict(counts),
        sample=found.sample if found else "",
    )


def write_part(
    folder: Path, number: int, stretch: Stretch, plan: StreamPlan, tokenizer: Tokenizer, workers: int
) -> PartRecord:
    """Make a part of these documents and put it in place: seen only when it is whole, and then on the disk.

    Raises ChangedTextError where it was made before and has become another one, what the tokenizer raises, and OSError.
    """
    counts: Counter[str] = Counter()
    texts = arrangement_of(plan).part_to_train_on(stretch.texts, number, counts)
    temporary = folder / f".{part_file(folder, number).name}.{secrets.token_hex(6)}.tmp"
    try:
        tokens = write_documents(temporary, texts, tokenizer, workers, ends=True)
        record = PartRecord(
            number=number,
            tokens=tokens,
            text=facts_of(texts, stretch.empty, counts),
            begin=stretch.begin,
            end=stretch.end,
            source_sha256=stretch.sha256,
            is_last=_is_last(plan, number, stretch),
        )
        before = read_record(folder, number)
        if before is not None and before.tokens.sha256 != record.tokens.sha256:
            raise ChangedTextError(
                f"part {number + 1} of {plan.title} is damaged, and made again it is another one (its SHA-256 is "
                f"{record.tokens.sha256[:12]} and was {before.tokens.sha256[:12]}), so the text has changed since; put "
                f"the old text back into {downloads_folder(plan.corpus)}, or delete {folder} and start a new run"
            )
        temporary.replace(part_file(folder, number))
    finally:
        temporary.unlink(missing_ok=True)
    files.fsync_dir(folder)
    files.write_bytes(record_file(folder, number), msgspec.json.encode(record))
    return record


def _is_last(plan: StreamPlan, number: int, stretch: Stretch) -> bool:
    reached = number * plan.part_documents + stretch.found
    return stretch.ends_file or bool(plan.documents and reached >= plan.documents)


class PartMaker:
    """Makes the parts of one text that are missing, in their order, alone among all who would."""

    def __init__(
        self,
        folder: Path,
        plan: StreamPlan,
        tokenizer: Tokenizer,
        dtype: DtypeName,
        *,
        workers: int,
        fetch: bool = True,
    ) -> None:
        self._folder, self._plan, self._tokenizer, self._dtype = folder, plan, tokenizer, dtype
        self._workers, self._fetch = workers, fetch
        self.ready = 0
        """So many parts are here and intact, as far as was looked."""
        self.is_complete = False

    def look(self) -> None:
        """See which parts are here."""
        while not self.is_complete and (part := open_part(self._folder, self.ready, self._dtype)) is not None:
            self.ready += 1
            self.is_complete = part.record.is_last

    def bring(self, progress: Progress, until: int | None = None) -> None:
        """See to it that the first `until` parts are here, or all.

        Raises CorpusError where they cannot be had, OSError, and what `progress` raises.
        """
        lock = filelock.FileLock(self._folder / _LOCK_FILE)
        made = False
        while True:
            self.look()
            if self.is_complete or (until is not None and self.ready >= until):
                break
            try:
                lock.acquire(timeout=_LOCK_POLL_SECONDS)
            except filelock.Timeout:
                progress(f"waiting for another process that prepares {self._plan.corpus}", self.share)
                continue
            try:
                self.look()
                if not self.is_complete and (until is None or self.ready < until):
                    self._make(self.ready, progress)
                    made = True
            finally:
                lock.release()
        if made and self.is_complete:
            self._compare(progress)

    @property
    def share(self) -> float:
        """How much of it all is here, 0 to 1."""
        expected = -(-self._plan.documents_expected // self._plan.part_documents)
        return 1.0 if self.is_complete else min(1.0, self.ready / expected)

    def _make(self, number: int, progress: Progress) -> None:
        before = read_record(self._folder, number - 1) if number else None
        begin = before.end if before is not None else 0
        stretch = stretch_of(self._plan, number, begin, progress, fetch=self._fetch)
        progress(f"encoding part {number + 1} of {self._plan.title}", self.share)
        for left in self._folder.glob(f".{part_file(self._folder, number).name}.*.tmp"):
            with suppress(OSError):
                left.unlink()  # of somebody who was killed: this is done by one at a time
        write_part(self._folder, number, stretch, self._plan, self._tokenizer, self._workers)

    def _compare(self, progress: Progress) -> None:
        """Of a file that is whole the hash is right: whether the parts were made of it, too, tell their own hashes.

        Raises ChangedTextError where they were not: what came first was then another text, and was thrown away.
        """
        path = downloads_folder(self._plan.corpus) / self._plan.train.name
        if not is_whole(path, self._plan.train.n_bytes):
            return
        with path.open("rb") as handle:
            for number in range(self.ready):
                record = read_record(self._folder, number)
                if record is None:
                    continue
                progress(f"checking part {number + 1} of {self._plan.title}", number / self.ready)
                handle.seek(record.begin)
                digest, left = hashlib.sha256(), record.end - record.begin
                while left > 0 and (chunk := handle.read(min(_CHUNK, left))):
                    digest.update(chunk)
                    left -= len(chunk)
                if digest.hexdigest() != record.source_sha256:
                    raise ChangedTextError(
                        f"part {number + 1} of {self._plan.title} was made of another text than the one that is here "
                        f"now, whose hash is the known one; delete {self._folder}, and start a new run"
                    )
