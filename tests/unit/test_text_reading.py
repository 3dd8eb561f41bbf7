"""Text files are read as what they are, in bounded blocks; what is no text is a sentence that says what to do."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.reading import find_text_files, read_blocks

TEXT = "Zoë said: “naïve” 漢字 😀\nsecond line\n"


def write(folder: Path, content: bytes, name: str = "text.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def read(path: Path, encoding: str = "auto", errors: str = "strict", block_bytes: int = 7) -> str:
    find_text_files(path, encoding)
    return "".join(read_blocks(path, encoding, errors, block_bytes))  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("block_bytes", [1, 2, 7, 1 << 20])
def test_the_encoding_comes_from_the_byte_order_mark(codec: str, block_bytes: int, tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.encode(codec))
    assert read(path, block_bytes=block_bytes) == TEXT
    assert read(path, codec, block_bytes=block_bytes) == TEXT


@pytest.mark.parametrize(
    ("mark", "codec"), [(b"\xfe\xff", "utf-16-be"), (b"\x00\x00\xfe\xff", "utf-32-be"), (b"\xff\xfe", "utf-16-le")]
)
def test_big_and_little_endian_marks_are_understood_and_left_out(mark: bytes, codec: str, tmp_path: Path) -> None:
    path = write(tmp_path, mark + TEXT.encode(codec))
    assert read(path) == TEXT
    assert read(path, codec) == TEXT


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, "Zoë".encode("latin-1"))
    assert read(path, "latin-1") == "Zoë"
    assert read(path, "utf-8", "replace") == "Zo\ufffd"
    assert read(write(tmp_path, TEXT.encode("utf-16-le")), "utf-16-le") == TEXT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["\r\n", "\r", "\n", "a", "é"]), max_size=30).map("".join), st.integers(1, 9))
def test_every_line_end_becomes_a_line_feed_across_blocks(tmp_path: Path, text: str, block_bytes: int) -> None:
    path = write(tmp_path, text.encode())
    assert "".join(read_blocks(path, block_bytes=block_bytes)) == text.replace("\r\n", "\n").replace("\r", "\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("aé漢😀\n\r"), max_size=40), st.integers(1, 9), st.booleans())
def test_an_invalid_byte_is_named_with_its_place(tmp_path: Path, before: str, block_bytes: int, mark: bool) -> None:
    head = (b"\xef\xbb\xbf" if mark else b"") + before.encode()
    path = write(tmp_path, head + b"\xff" + b"more\n")
    line = 1 + before.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    with pytest.raises(CorpusError) as refused:
        list(read_blocks(path, block_bytes=block_bytes))
    assert f"byte {len(head):,}, line {line} (0xFF" in str(refused.value)
    assert "--encoding" in str(refused.value)
    assert "--errors replace" in str(refused.value)
    kept = before.replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(read_blocks(path, "auto", "replace", block_bytes)) == kept + "\ufffdmore\n"


def test_a_character_cut_off_at_the_end_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc\n" + "😀".encode()[:3])
    with pytest.raises(CorpusError, match=r"byte 4, line 2 \(0xF0: unexpected end of data"):
        read(path)


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "utf-7", "idna", "unicode_escape", "a\0b", ""])
def test_an_unknown_encoding_is_a_sentence(encoding: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is not an encoding of text files"):
        read(write(tmp_path, b"text"), encoding)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (gzip.compress(b"text" * 100, mtime=0), "gzip"),
        (b"\x28\xb5\x2f\xfd\x00\x00", "Zstandard"),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"PK\x03\x04\x14\x00", "ZIP"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"some\x00thing", "byte 0 at offset 4"),
    ],
)
def test_what_is_no_text_is_a_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(CorpusError, match=words) as refused:
        find_text_files(path)
    assert str(path) in str(refused.value)


def test_text_that_begins_like_a_format_is_text(tmp_path: Path) -> None:
    for number, content in enumerate([b"BZhang is a name", b"PAR1 is a gene", b"PK stands for primary key"]):
        assert read(write(tmp_path, content, f"{number}.txt")) == content.decode()


def test_missing_paths_devices_and_pipes_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="does not exist"):
        find_text_files(tmp_path / "missing")
    with pytest.raises(CorpusError, match="cannot be read"):
        find_text_files(tmp_path / ("x" * 5000))
    with pytest.raises(CorpusError, match="device"):
        find_text_files(Path("/dev/zero"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="pipe"):
        find_text_files(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, b"text")
    path.chmod(0)
    with pytest.raises(CorpusError, match="permission denied"):
        find_text_files(path)


def test_a_folder_is_read_sorted_and_says_what_was_left_out(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/a.py", "c"):
        write(tmp_path, b"text", name)
    write(tmp_path, b"\0\1", "binary.dat")
    write(tmp_path, b"", "empty.txt")
    write(tmp_path, b"secret", ".git/config")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = find_text_files(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found.files] == ["a/a.py", "a/z.md", "b.txt", "c"]
    assert found.n_bytes == 16
    assert sorted(entry.split(":")[0] for entry in found.skipped) == [
        ".git", "a/loop", "binary.dat", "dangling", "empty.txt", "pipe",
    ]  # fmt: skip


def test_a_folder_without_text_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no text file"):
        find_text_files(tmp_path)
    write(tmp_path, b"\0", "image.bin")
    with pytest.raises(CorpusError, match=r"1 left out, e\.g\. image\.bin"):
        find_text_files(tmp_path)


def test_a_very_deep_folder_is_read(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 400)
    deep.mkdir(parents=True)
    write(deep, b"text")
    assert len(find_text_files(tmp_path).files) == 1
