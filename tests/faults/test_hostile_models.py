"""A model folder made to harm: refused in a sentence, before anything is allocated, and nothing in it is ever run."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bounded_loader import Loader, Outcome, bounded_loader
from hostile_files import DAMAGES, each_value_replaced, encoded, slow_but, trained_home

from tui_gpt.core.errors import MemoryLimitError
from tui_gpt.core.model_record import RECORD_NAME
from tui_gpt.engine.interop.huggingface import read_model_folder

SECONDS = 15.0
MEGABYTES = 400.0
SENTENCES = ("ModelError", "MemoryLimitError")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as it comes from elsewhere: real, and without hashes that would tell what was done to it."""
    folder = tmp_path_factory.mktemp("foreign") / "model"
    shutil.copytree(trained_home(tmp_path_factory) / "home" / "models" / "bard", folder)
    (folder / RECORD_NAME).unlink()
    return folder


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    with bounded_loader() as loader:
        yield loader


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


def refused(outcome: Outcome) -> str:
    """The sentence with which a folder was refused."""
    assert outcome.error in SENTENCES, outcome
    assert outcome.seconds < SECONDS, outcome
    assert outcome.megabytes < MEGABYTES, outcome
    assert len(outcome.message) < 1000
    return outcome.message


def opened_or_refused(outcome: Outcome) -> None:
    """Either is right, if it takes little."""
    assert outcome.error in ("", *SENTENCES), outcome
    assert outcome.seconds < SECONDS, outcome
    assert outcome.megabytes < MEGABYTES, outcome


def header_of(content: bytes) -> dict[str, Any]:
    """The header of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header


def with_header(content: bytes, header: bytes, length: int | None = None) -> bytes:
    """The file with another header before its numbers, perhaps of a length that it has not."""
    (old,) = struct.unpack("<Q", content[:8])
    return struct.pack("<Q", len(header) if length is None else length) + header + content[8 + old :]


def test_the_model_opens_while_nothing_is_wrong_with_it(loader: Loader, folder: Path) -> None:
    outcome = loader.open(folder)
    assert outcome.error == "", outcome.message
    opened_or_refused(outcome)


# ---- weights


def _entry(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """Another description of the first tensor."""

    def lie(header: dict[str, Any]) -> None:
        name = next(name for name in header if name != "__metadata__")
        header[name] |= {key: value(header[name][key]) if callable(value) else value for key, value in changes.items()}

    return lie


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "offsets beyond the file": _entry(data_offsets=lambda old: [old[0], 1 << 40]),
    "offsets beyond all numbers": _entry(data_offsets=[0, (1 << 64) - 1]),
    "offsets that wrap around": _entry(data_offsets=[(1 << 64) - 4, 4]),
    "offsets the wrong way round": _entry(data_offsets=lambda old: old[::-1]),
    "negative offsets": _entry(data_offsets=[-8, 0]),
    "offsets that overlap": _entry(data_offsets=lambda old: [old[0], old[1] - 4]),
    "offsets that are no numbers": _entry(data_offsets=["0", "4"]),
    "three offsets": _entry(data_offsets=[0, 4, 8]),
    "a shape of too many numbers": _entry(shape=lambda old: [old[0] * 1000, *old[1:]]),
    "a shape whose size wraps around": _entry(shape=[1 << 32, 1 << 32]),
    "a shape beyond all numbers": _entry(shape=[(1 << 64) - 1] * 4),
    "a negative shape": _entry(shape=[-1, -1]),
    "a shape of a thousand dimensions": _entry(shape=[1] * 1000),
    "a shape of none": _entry(shape=[]),
    "a shape of nothing": _entry(shape=[0, 1 << 62]),
    "another shape of the same size": _entry(shape=lambda old: [old[0] * 2, old[1] // 2]),
    "an unknown type": _entry(dtype="F33"),
    "whole numbers": _entry(dtype="I32"),
    "truth values": _entry(dtype="BOOL"),
    "eight-bit floats": _entry(dtype="F8_E4M3"),
    "no type": _entry(dtype=None),
    "a type that is a path": _entry(dtype="/dev/zero"),
    "nothing at all": lambda header: header.clear(),
    "one tensor less": lambda header: header.pop(next(name for name in header if name != "__metadata__")),
    "one tensor more": lambda header: header.update(evil={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
    "names that a terminal would obey": lambda header: header.update(
        {"\x1b]0;x\x07": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
    ),
    "metadata that is no text": lambda header: header.update(__metadata__={"format": [1]}),
    "a hundred thousand empty tensors": lambda header: header.update(
        {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)}
    ),
}


@pytest.mark.parametrize("lie", slow_but([lie for lie in LIES if "hundred thousand" not in lie], LIES))
def test_a_header_that_lies_is_refused_before_a_number_is_read(loader: Loader, folder: Path, lie: str) -> None:
    content = (folder / WEIGHTS).read_bytes()
    header = header_of(content)
    LIES[lie](header)
    (folder / WEIGHTS).write_bytes(with_header(content, json.dumps(header).encode()))
    assert str(folder) in refused(loader.open(folder))


RAW_HEADERS: dict[str, tuple[bytes, int | None]] = {
    "longer than the file": (b"{}", 1 << 20),
    "of 99 MB": (b"{}", 99_000_000),
    "of the longest number": (b"{}", (1 << 64) - 1),
    "of a negative number": (b"{}", 1 << 63),
    "of no bytes": (b"", None),
    "no JSON": (b"\x00" * 64, None),
    "no table": (b"[1, 2]", None),
    "nested without end": (b'{"a":' * 100_000, None),
    "a table nested without end": (b'{"a":' * 5000 + b"1" + b"}" * 5000, None),
    "not UTF-8": (b'{"\xff\xfe": 1}', None),
    "a number without end": (b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,0]}}', None),
}


@pytest.mark.parametrize("kind", RAW_HEADERS)
def test_a_header_that_is_none_is_refused(loader: Loader, folder: Path, kind: str) -> None:
    header, length = RAW_HEADERS[kind]
    (folder / WEIGHTS).write_bytes(with_header((folder / WEIGHTS).read_bytes(), header, length))
    refused(loader.open(folder))


@pytest.mark.slow
def test_a_header_of_99_megabytes_that_is_really_there_is_refused_unread(loader: Loader, folder: Path) -> None:
    entry = '"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    entries = "".join(entry % number for number in range(1_650_000))
    header = b"{" + entries.rstrip(",").encode() + b"}"
    assert 90_000_000 < len(header) < 100_000_000
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header)
    outcome = loader.open(folder)
    assert "has a header of" in refused(outcome)
    assert outcome.seconds < 1


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name not in ("a link to its bytes", "a byte longer")])
@pytest.mark.parametrize(
    "name", slow_but(["config.json", WEIGHTS], ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"])
)
def test_any_file_of_a_foreign_model_may_be_anything_and_is_never_waited_for(
    loader: Loader, folder: Path, name: str, damage: str
) -> None:
    DAMAGES[damage](folder / name)
    opened_or_refused(loader.open(folder))


# ---- a configuration

HUGE = {"n_embd": 65_536, "hidden_size": 65_536, "n_layer": 512, "num_hidden_layers": 512, "vocab_size": 2_000_000}


def _large_layers(config: dict[str, Any]) -> dict[str, Any]:
    """About 1.3 million million parameters, every single field within its bounds."""
    sizes = {"hidden_size": 8192, "num_hidden_layers": 512, "intermediate_size": 98_304, "head_dim": 128}
    return config | sizes | {"num_attention_heads": 64, "num_key_value_heads": 64}


CLAIMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "a million million parameters": _large_layers,
    "every size at its bound": lambda config: config | {key: HUGE[key] for key in HUGE if key in config},
    "sizes beyond every bound": lambda config: config | {key: HUGE[key] * 10**6 for key in HUGE if key in config},
    "a vocabulary of 10^12": lambda config: config | {"vocab_size": 10**12},
    "a context of 10^12": lambda config: config | {"max_position_embeddings": 10**12},
    "the longest context and the largest heads": lambda config: (
        config | {"max_position_embeddings": 1_048_576, "head_dim": 4096}
    ),
    "10^400 layers": lambda config: config | {"num_hidden_layers": 10**400},
    "code to run": lambda config: (
        config | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}, "trust_remote_code": True}
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_configuration_that_claims_too_much_is_refused_before_anything_is_allocated(
    loader: Loader, folder: Path, claim: str
) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(CLAIMS[claim](config)), encoding="utf-8")
    outcome = loader.open(folder)
    if claim == "code to run":
        assert outcome.error == "", outcome.message
    else:
        refused(outcome)


def test_a_million_million_parameters_whose_file_is_really_that_long_do_not_fit_in_a_sentence(
    loader: Loader, folder: Path
) -> None:
    """A sparse file: four terabytes that take no room, and a header that is honest about them."""
    from tui_gpt.engine.interop.config_json import config_from_hf
    from tui_gpt.engine.interop.state_names import counterparts, own_shapes

    config = _large_layers(json.loads((folder / "config.json").read_bytes()))
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = config_from_hf(config)
    shapes = own_shapes(model)
    header, end = {}, 0
    for part in counterparts(model):
        shape = part.shape(shapes[part.own])
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[part.foreign] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    assert end > 4e12
    content = with_header(bytes(8), json.dumps(header).encode())
    (folder / WEIGHTS).write_bytes(content)
    try:
        os.truncate(folder / WEIGHTS, len(content) + end)
    except OSError as error:
        pytest.skip(f"the file system has no files of {end / 1e12:.1f} TB: {error.strerror}")
    assert "more than this process may map" in refused(loader.open(folder))
    # Without a limit of its own, a process is refused by the kernel, or else it is memory that is missing.
    with pytest.raises(MemoryLimitError, match=r"more than this process may map|GB are free"):
        read_model_folder(folder)


@pytest.mark.slow
def test_whatever_stands_in_any_field_of_a_configuration_the_model_opens_or_is_refused(
    loader: Loader, folder: Path
) -> None:
    tree = json.loads((folder / "config.json").read_bytes())
    count = 0
    for label, changed in each_value_replaced(tree):
        (folder / "config.json").write_bytes(encoded(changed))
        outcome = loader.open(folder)
        assert outcome.error in ("", *SENTENCES), (label, outcome)
        opened_or_refused(outcome)
        count += 1
    assert count > 300


@pytest.mark.slow
@pytest.mark.parametrize("depth", [50, 63, 64, 65, 500, *range(950, 1000), 1000, 100_000])
@pytest.mark.parametrize("field", ["model_type", "rope_parameters", "layer_types", "unheard_of"])
def test_a_configuration_nested_to_any_depth_is_refused_or_of_no_matter(
    loader: Loader, folder: Path, field: str, depth: int
) -> None:
    config = json.loads((folder / "config.json").read_bytes()) | {field: "@nest@"}
    nest = "[" * depth + "]" * depth
    (folder / "config.json").write_text(json.dumps(config).replace('"@nest@"', nest), encoding="utf-8")
    opened_or_refused(loader.open(folder))


# ---- a tokenizer


def _bpe() -> dict[str, Any]:
    """A byte-level BPE like GPT-2's, which is what most foreign models bring."""
    from tui_gpt.engine.text.byte_alphabet import BYTES_IN_ORDER, to_characters

    letters = [to_characters(byte) for byte in BYTES_IN_ORDER]
    return {
        "version": "1.0",
        "added_tokens": [{"id": 256, "content": "<|endoftext|>", "special": True}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {letter: number for number, letter in enumerate(letters)}, "merges": []},
    }


def _doubling(times: int) -> Callable[[dict[str, Any]], object]:
    """Tokens each of which is the one before, twice: the last would stand for a terabyte, if it could be written."""

    def change(tree: dict[str, Any]) -> None:
        model = tree["model"]
        token = "a"
        for _ in range(times):
            model["merges"].append([token, token])
            token = token * 2 if len(token) < 1 << 20 else "a"
            model["vocab"].setdefault(token, len(model["vocab"]) + 1)

    return change


TOKENIZERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an id of 10^12": lambda tree: tree["model"]["vocab"].update({"a": 10**12}),
    "an id of 10^400": lambda tree: tree["model"]["vocab"].update({"a": 10**400}),
    "a negative id": lambda tree: tree["model"]["vocab"].update({"a": -1}),
    "a special token with an id of 10^12": lambda tree: tree["added_tokens"].append({"id": 10**12, "content": "evil"}),
    "the highest id allowed": lambda tree: tree["added_tokens"].append({"id": 4_000_000, "content": "evil"}),
    "three million tokens": lambda tree: tree["model"]["vocab"].update({f"{n:x}": n + 257 for n in range(3_000_000)}),
    "a token of 10 MB": lambda tree: tree["model"]["vocab"].update({"a" * 10_000_000: 257}),
    "tokens that double": _doubling(40),
    "a regular expression that never ends": lambda tree: tree.update(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    ),
    "a regular expression of 10 MB": lambda tree: tree.update(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(" * 10**7}, "behavior": "Isolated", "invert": False}
    ),
    "a normalizer that blows up": lambda tree: tree.update(
        normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10_000_000}
    ),
    "twenty million empty lists for a decoder": lambda tree: tree.update(decoder=[[]] * 20_000_000),
    "a million normalizers": lambda tree: tree.update(
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1_000_000}
    ),
    "a template that puts tokens around": lambda tree: tree.update(
        post_processor={"type": "TemplateProcessing", "single": []}
    ),
    "a word piece": lambda tree: tree["model"].update(type="WordPiece"),
    "two merges to one token": lambda tree: tree["model"].update(
        vocab=tree["model"]["vocab"] | {"abc": 257, "ab": 258, "bc": 259},
        merges=["a b", "b c", "ab c", "a bc"],
    ),
    "a merge of nothing": lambda tree: tree["model"].update(merges=["a"]),
    "a million merges of nothing": lambda tree: tree["model"].update(merges=["a"] * 1_000_000),
}


LARGE = ("three million tokens", "twenty million empty lists for a decoder", "a million normalizers")


@pytest.mark.parametrize("trick", slow_but([trick for trick in TOKENIZERS if trick not in LARGE], TOKENIZERS))
def test_a_tokenizer_that_would_take_all_memory_or_time_is_refused(loader: Loader, folder: Path, trick: str) -> None:
    tree = _bpe()
    TOKENIZERS[trick](tree)
    (folder / "tokenizer.json").write_text(json.dumps(tree, separators=(",", ":")), encoding="utf-8")
    outcome = loader.open(folder)
    assert outcome.error == "ModelError", outcome
    assert outcome.seconds < SECONDS
    assert "tokenizer" in outcome.message


@pytest.mark.parametrize("place", ["normalizer", "pre_tokenizer", "decoder", "unheard_of"])
@pytest.mark.parametrize("depth", [100, 900, 990, 1_000_000])
def test_a_tokenizer_nested_to_any_depth_is_refused_or_of_no_matter(
    loader: Loader, folder: Path, place: str, depth: int
) -> None:
    content = json.dumps(_bpe() | {place: "@nest@"})
    (folder / "tokenizer.json").write_text(content.replace('"@nest@"', "[" * depth + "]" * depth), encoding="utf-8")
    refused(loader.open(folder))


@pytest.mark.parametrize("depth", [100, 300, 500, 700, 900, 990])
def test_a_tokenizers_configuration_that_opens_can_be_written_again(folder: Path, tmp_path: Path, depth: int) -> None:
    """It goes with every checkpoint of whoever trains the model on: what fails then, fails hours later."""
    from tui_gpt.core.errors import ModelError
    from tui_gpt.engine.text.tokenizer_files import load_tokenizer

    (folder / "tokenizer.json").write_text(json.dumps(_bpe()), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"a":' * depth + "0" + "}" * depth, encoding="utf-8")
    try:
        tokenizer = load_tokenizer(folder)
    except ModelError as error:
        assert "nested too deeply" in str(error) or "not a readable" in str(error)
    else:

        def deeper_in_the_program(left: int) -> None:
            return deeper_in_the_program(left - 1) if left else tokenizer.save(tmp_path, 128)

        deeper_in_the_program(200)
