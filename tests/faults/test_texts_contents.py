"""Whatever bytes a file holds: it is learned from to the last character, or refused in one sentence with its name."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import json
import random
import tarfile
import zipfile
from encodings.aliases import aliases
from pathlib import Path

import msgspec
import numpy as np
import pytest
from command_line import call
from training_runs import Scene, records, status_of, tiny

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text import sources
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.reading import find_text_files, read_blocks
from tui_gpt.engine.text.tokenizer import END_OF_TEXT
from tui_gpt.engine.training import keeping

PROSE = "The cat sat on the mat.\nA dog ran to the cat.\n" * 60
EMOJI = "👨‍👩‍👧‍👦 ❤️ 🏳️‍🌈 🇩🇪 👍🏽 e\u0301 hello\n" * 60
BREAKS = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven\n" * 60
SPECIALS = f"{END_OF_TEXT} text <|im_start|> [INST] </s> <pad> [UNK] <0x0A>\n" * 60

# What a file holds, and the text that it is.
LEARNED: dict[str, tuple[bytes, str]] = {
    "two characters": (b"ab", "ab"),
    "shorter than any context": (b"a cat", "a cat"),
    "UTF-8 with a mark": (PROSE.encode("utf-8-sig"), PROSE),
    "UTF-16, little endian": (b"\xff\xfe" + PROSE.encode("utf-16-le"), PROSE),
    "UTF-16, big endian": (b"\xfe\xff" + PROSE.encode("utf-16-be"), PROSE),
    "UTF-32, little endian": (b"\xff\xfe\0\0" + EMOJI.encode("utf-32-le"), EMOJI),
    "UTF-32, big endian": (b"\0\0\xfe\xff" + EMOJI.encode("utf-32-be"), EMOJI),
    "carriage returns only": (PROSE.replace("\n", "\r").encode(), PROSE),
    "carriage returns and line feeds": (PROSE.replace("\n", "\r\n").encode(), PROSE),
    "nothing but line ends": (b"\r\n" * 3000, "\n" * 3000),
    "nothing but spaces": (b" " * 3000, " " * 3000),
    "no line end at the end": (PROSE.encode().rstrip(), PROSE.rstrip()),
    "right to left": (
        "שלום עולם \u202b\u200fمرحبا بالعالم\n".encode() * 60,
        "שלום עולם \u202b\u200fمرحبا بالعالم\n" * 60,
    ),
    "emoji of many code points": (EMOJI.encode(), EMOJI),
    "line breaks of Unicode": (BREAKS.encode(), BREAKS),
    "special tokens": (SPECIALS.encode(), SPECIALS),
    "escape sequences": (b"\x1b[2J\x1b]0;title\x07\x1b[31mred\n" * 60, "\x1b[2J\x1b]0;title\x07\x1b[31mred\n" * 60),
    "a null character far inside": (PROSE.encode() * 4 + b"\0end", PROSE * 4 + "\0end"),
    "ideographs without a space": ("漢字仮名交じり".encode() * 300, "漢字仮名交じり" * 300),
    "the last code points": ("\U0010ffff\ufffe\uffff\ufdd0 ".encode() * 60, "\U0010ffff\ufffe\uffff\ufdd0 " * 60),
}


def runs(home: Path) -> list[Path]:
    """What lies where runs do, hidden or not."""
    return sorted((home / "runs").iterdir()) if (home / "runs").exists() else []


def archive() -> bytes:
    """A ZIP file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a.txt", PROSE)
    return content.getvalue()


def tape() -> bytes:
    """A tar file, which has no signature at its beginning."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return content.getvalue()


# What a file holds, and what the refusal must say.
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "one byte": (b"a", "has one character"),
    "only a mark, UTF-8": (b"\xef\xbb\xbf", "has no characters"),
    "only a mark, UTF-16": (b"\xff\xfe", "has no characters"),
    "only a mark, UTF-32": (b"\xff\xfe\0\0", "has no characters"),
    "a byte that is no UTF-8": (PROSE.encode()[:1000] + b"\xe9 more\n", "not valid utf-8 at byte 1,000, line 44 (0xE9"),
    "half a character at the end": (PROSE.encode() + b"\xf0\x9f\x98", f"byte {len(PROSE):,}, line 121 (0xF0"),
    "surrogates in UTF-8": (b"ok \xed\xa0\x80", "not valid utf-8 at byte 3, line 1 (0xED"),
    "a character written too long": (b"\xc0\x80" * 9, "not valid utf-8 at byte 0, line 1 (0xC0"),
    "a half pair in UTF-16": (b"\xff\xfea\0\x00\xd8b\0", "not valid utf-16-le at byte 4"),
    "an odd byte in UTF-16": (b"\xff\xfe" + "abc".encode("utf-16-le") + b"d", "not valid utf-16-le at byte 8"),
    "a code beyond Unicode": (b"\xff\xfe\0\0" + b"\0\0\x11\0" * 9, "not valid utf-32-le at byte 4"),
    "null bytes": (b"abc\0def" * 99, "byte 0 at offset 3"),
    "UTF-16 without a mark": (PROSE.encode("utf-16-le"), "--encoding utf-16-le"),
    "UTF-16 without a mark, big endian": (PROSE.encode("utf-16-be"), "--encoding utf-16-be"),
    "gzip": (gzip.compress(PROSE.encode()), "gzip"),
    "ZIP": (archive(), "ZIP"),
    "tar": (tape(), "does not look like text"),
    "a numpy file": (b"\x93NUMPY\x01\0v\0{'descr': '<f4'}" + bytes(100), "does not look like text"),
    "random bytes": (random.Random(7).randbytes(20_000), "does not look like text"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(200), "is a program"),
}


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
@pytest.mark.parametrize("name", LEARNED)
def test_a_text_is_learned_from_to_the_last_character(name: str, tokenizer: str, tmp_path: Path) -> None:
    content, text = LEARNED[name]
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    shown = call("corpora", "show", path, "--tokenizer", tokenizer, "--json", home=tmp_path / "home")
    assert shown.code == 0, shown.err
    assert json.loads(shown.out)["characters"] == len(text)
    data = DataConfig(corpus=str(path), tokenizer=tokenizer)  # type: ignore[arg-type]
    prepared = prepare(data, cache=tmp_path / "home" / "cache" / "corpora")
    tokens = np.concatenate([prepared.train.tokens, prepared.validation.tokens])
    assert prepared.tokenizer.decode(tokens) == text
    # What stands in the text is text: nothing in it became the token that separates documents.
    assert prepared.tokenizer.eot_id not in tokens.tolist()
    told = call("corpora", "show", path, "--tokenizer", tokenizer, home=tmp_path / "home")
    assert told.code == 0 and not set(told.out) & {"\x1b", "\x07", "\0", "\u202b", "\u200f", "\u2028"}, ascii(told.out)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_text_is_refused_in_one_sentence_by_every_command_and_leaves_nothing(
    name: str, tmp_path: Path
) -> None:
    content, words = REFUSED[name]
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    home = tmp_path / "home"
    for command in (["corpora", "show", path], ["config", "plan", path, "--minutes", "1"]):
        sentence = call(*command, home=home).refused(3)
        assert words in sentence, sentence
    assert list(home.rglob("*.bin")) == []


@pytest.mark.parametrize("name", ["nothing", "a byte that is no UTF-8", "random bytes"])
def test_training_on_what_is_no_text_is_refused_and_no_run_is_made(name: str, tmp_path: Path) -> None:
    content, words = REFUSED[name]
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert words in call("train", path, "--name", "bard", "--steps", "1", home=tmp_path / "home").refused(3)
    assert runs(tmp_path / "home") == []


@pytest.mark.parametrize("name", ["two characters", "shorter than any context"])
def test_a_text_shorter_than_the_context_is_refused_with_what_would_help(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(LEARNED[name][0])
    sentence = call("train", path, "--steps", "1", home=tmp_path / "home").refused(3)
    assert "choose a longer text" in sentence and "a context of" in sentence
    assert runs(tmp_path / "home") == []


def test_bytes_that_do_not_decode_can_be_replaced_or_read_by_their_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("schön und gut\n".encode("latin-1") * 60)
    home = tmp_path / "home"
    assert "schön" in call("corpora", "show", path, "--encoding", "latin-1", home=home).out
    assert "sch\ufffdn" in call("corpora", "show", path, "--errors", "replace", home=home).out
    call("corpora", "show", path, home=home).refused(3)


def test_every_codec_of_python_reads_a_text_or_refuses_in_one_sentence(tmp_path: Path) -> None:
    contents = {"text": PROSE[:400].encode(), "noise": random.Random(7).randbytes(400).replace(b"\0", b"x")}
    read = 0
    for codec in sorted({*aliases.values(), "undefined", "idna", "unicode_escape", "charmap", "oem", ""}):
        for name, content in contents.items():
            path = tmp_path / name
            path.write_bytes(content)
            try:
                find_text_files(path, codec)
                # Blocks that end within characters.
                text = "".join(read_blocks(path, codec, block_bytes=7))
            except CorpusError as error:
                assert "\n" not in str(error) and ("--encoding" in str(error) or "is not an encoding" in str(error))
            else:
                assert text == codecs.decode(content, codec).replace("\r\n", "\n").replace("\r", "\n"), codec
                read += name == "text"
            with contextlib.suppress(CorpusError):
                "".join(read_blocks(path, codec, "replace", block_bytes=7)).encode("utf-8")
    assert read > 50


@pytest.mark.parametrize(
    "name", ["special tokens", "escape sequences", "emoji of many code points", "line breaks of Unicode"]
)
def test_a_run_on_any_text_ends_well_with_a_model(name: str, scene: Scene) -> None:
    scene.text.write_bytes(LEARNED[name][0] * 3)
    model = {"n_positions": 8, "n_embd": 16}
    run = scene.begin(tiny(scene.text, model=model, max_steps=2, sample_tokens=4, eval_tokens=64))
    assert scene.train_here(run) == 0
    assert status_of(run).state == "finished" and scene.models() == ["bard"]
    assert len(records(run, "sample")) == 1 and status_of(run).warnings == []


@pytest.mark.parametrize("space", ["\t", "\u3000", "\xa0", "\u2003\u2003", "\x1f"])
def test_a_text_without_plain_spaces_gives_samples_and_a_model(space: str, scene: Scene) -> None:
    scene.text.write_text(f"one{space}two{space}three\n" * 200, encoding="utf-8")
    run = scene.begin(tiny(scene.text, model={"n_positions": 8, "n_embd": 16}, max_steps=2, sample_tokens=4))
    assert scene.train_here(run) == 0
    assert scene.models() == ["bard"] and status_of(run).warnings == []
    assert records(run, "sample")[0].values["prompt"] == f"one{space}two{space}three"


def test_a_sample_that_cannot_be_written_costs_no_model(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def wordless(*_: object) -> None:
        raise CorpusError("no sample today")

    monkeypatch.setattr(keeping, "sample_text", wordless)
    run = scene.begin(tiny(scene.text, max_steps=2))
    assert scene.train_here(run) == 0 and scene.models() == ["bard"]


def test_a_single_character_repeated_is_refused_by_characters_and_learned_by_bpe(scene: Scene) -> None:
    scene.text.write_bytes(b"a" * 20_000)
    sentence = call("train", scene.text, "--tokenizer", "char", "--steps", "1", home=scene.home).refused(3)
    assert "single character" in sentence and "bpe" in sentence
    assert runs(scene.home) == []
    config = tiny(scene.text, model={"n_positions": 4, "n_embd": 16}, max_steps=2, sample_tokens=4, eval_tokens=64)
    run = scene.begin(msgspec.structs.replace(config, data=DataConfig(corpus=str(scene.text), tokenizer="bpe")))
    assert scene.train_here(run) == 0 and scene.models() == ["bard"]


def test_a_text_that_becomes_another_of_the_same_length_while_it_is_read_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = tmp_path / "a.txt", tmp_path / "cache"
    before, after = PROSE, PROSE.replace("cat", "act")
    assert set(before) == set(after) and len(before) == len(after)
    path.write_text(before, encoding="utf-8")
    readings = 0
    documents = sources._FileSource.documents

    def rewritten(source: sources._FileSource) -> object:
        nonlocal readings
        readings += 1
        if readings == 2:
            path.write_text(after, encoding="utf-8")
        return documents(source)

    with monkeypatch.context() as patch:
        patch.setattr(sources._FileSource, "documents", rewritten)
        with pytest.raises(CorpusError, match="changed while it was being read"):
            prepare(DataConfig(corpus=str(path), tokenizer="char"), cache=cache)
    assert readings == 2 and not list(cache.rglob("*.bin"))
    path.write_text(before, encoding="utf-8")
    prepared = prepare(DataConfig(corpus=str(path), tokenizer="char"), cache=cache)
    assert prepared.tokenizer.decode(prepared.train.tokens) == before[: prepared.train.n_tokens]


def test_a_text_that_vanishes_between_two_readings_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(PROSE, encoding="utf-8")
    documents = sources._FileSource.documents
    readings = 0

    def vanishing(source: sources._FileSource) -> object:
        nonlocal readings
        readings += 1
        if readings == 2:
            path.unlink()
        return documents(source)

    monkeypatch.setattr(sources._FileSource, "documents", vanishing)
    with pytest.raises(CorpusError, match="no such file"):
        prepare(DataConfig(corpus=str(path), tokenizer="char"), cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.bin"))
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.name.endswith(".tmp")]
