"""The library of models does what a person asks of it, and says in a sentence what it will not do."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from saved_models import RECORD, writer

from tui_gpt.core.config import DataConfig, ModelConfig, RunConfig, to_dict
from tui_gpt.core.errors import ConfigError, ModelError
from tui_gpt.core.model_card import model_card
from tui_gpt.core.model_handler import DamagedModel, ModelEntry, ModelHandler
from tui_gpt.core.model_record import CorpusRecord, SampleRecord, TokenizerRecord, decode_record, encode_record
from tui_gpt.core.notes import read_entries
from tui_gpt.core.safe_text import safe_text


@pytest.fixture
def handler(tmp_path: Path) -> ModelHandler:
    (tmp_path / "examples").mkdir()
    return ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "notes.txt")


def add_example(handler: ModelHandler, name: str = "example") -> None:
    assert handler.examples is not None
    ModelHandler(handler.examples.root, None, handler.notes.with_name("others.txt")).save(name, writer(b"old"), RECORD)


def names(handler: ModelHandler) -> list[str]:
    return [entry.name for entry in handler.list()]


def test_a_saved_model_is_listed_shown_and_loaded_as_it_was_saved(handler: ModelHandler) -> None:
    entry = handler.save("bard", writer(), RECORD)
    assert handler.list() == [entry] == [handler.get("bard")]
    assert handler.verify("bard") == []
    assert handler.load("bard") == entry.folder
    assert entry.record is not None
    assert set(entry.record.files) == {"config.json", "model.safetensors", "README.md"}
    assert entry.record.train_loss == RECORD.train_loss
    assert entry.record.created.endswith("Z")
    assert entry.size_bytes == sum(p.stat().st_size for p in entry.folder.iterdir())
    assert json.loads(json.dumps(handler.show("bard")))["record"]["corpus"]["source"] == "fables.txt"
    assert [p.name for p in handler.library.root.iterdir() if p.name.startswith(".saving")] == []


def test_the_library_is_at_home_by_default(home: Path) -> None:
    handler = ModelHandler()
    assert handler.library.root == home / "models"
    assert handler.notes == home / "notes.txt"
    assert all(entry.read_only for entry in handler.list())


def test_a_taken_name_is_refused_and_replaced_only_when_asked(handler: ModelHandler) -> None:
    handler.save("bard", writer(b"old"), RECORD)
    with pytest.raises(ModelError, match="already in"):
        handler.save("bard", writer(b"new"), RECORD)
    assert (handler.load("bard") / "model.safetensors").read_bytes() == b"old"
    handler.save("bard", writer(b"new"), RECORD, replace=True)
    assert (handler.load("bard") / "model.safetensors").read_bytes() == b"new"
    assert names(handler) == ["bard"]


@pytest.mark.parametrize(
    "name", ["../bard", "..", "/tmp/bard", "a/b", ".hidden", "", "con", "nul.txt", "x" * 81, "a b"]
)
def test_names_that_lead_out_of_the_library_are_refused_everywhere(handler: ModelHandler, name: str) -> None:
    handler.save("bard", writer(), RECORD)
    for ask in (
        lambda: handler.save(name, writer(), RECORD),
        lambda: handler.get(name),
        lambda: handler.load(name),
        lambda: handler.verify(name),
        lambda: handler.delete(name),
        lambda: handler.rename(name, "new"),
        lambda: handler.rename("bard", name),
        lambda: handler.fork("bard", name),
        lambda: handler.note(name, "x"),
    ):
        with pytest.raises((ConfigError, ModelError)):
            ask()
    assert names(handler) == ["bard"]


def test_an_unknown_model_is_a_sentence_that_names_the_known_ones(handler: ModelHandler) -> None:
    with pytest.raises(ModelError, match="still empty"):
        handler.get("bard")
    handler.save("bard", writer(), RECORD)
    with pytest.raises(ModelError, match="no model named brad; there are bard"):
        handler.load("brad")


def test_examples_are_read_only_and_shadowed_by_the_library(handler: ModelHandler) -> None:
    add_example(handler)
    assert handler.get("example").read_only
    for ask in (
        lambda: handler.delete("example"),
        lambda: handler.rename("example", "mine"),
        lambda: handler.note("example", "mine"),
    ):
        with pytest.raises(ModelError, match="comes with the program"):
            ask()
    handler.save("example", writer(b"mine"), RECORD)
    (entry,) = handler.list()
    assert isinstance(entry, ModelEntry) and not entry.read_only
    assert handler.delete("example") == entry.size_bytes
    assert handler.get("example").read_only


def test_a_fork_is_an_intact_copy_that_names_its_parent(handler: ModelHandler) -> None:
    add_example(handler)
    fork = handler.fork("example", "mine")
    assert fork.record is not None and fork.record.parent == "example"
    assert not fork.read_only
    assert (handler.load("mine") / "model.safetensors").read_bytes() == b"old"
    assert "# mine" in (fork.folder / "README.md").read_text()
    with pytest.raises(ModelError, match="already"):
        handler.fork("example", "mine")


def test_a_model_made_elsewhere_is_usable_and_keeps_its_card_when_forked(handler: ModelHandler) -> None:
    folder = handler.library.root / "foreign"
    folder.mkdir(parents=True)
    writer()(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert handler.get("foreign").record is None
    assert handler.verify("foreign") == []
    with pytest.raises(ModelError, match="fork it"):
        handler.note("foreign", "x")
    fork = handler.fork("foreign", "mine")
    assert fork.record is not None and fork.record.family == "gpt2"
    assert "license: mit" in (fork.folder / "README.md").read_text()
    handler.note("mine", "hello")
    assert "license: mit" in (fork.folder / "README.md").read_text()
    assert handler.verify("mine") == []


def test_a_rename_reaches_record_and_card_and_leaves_the_weights(handler: ModelHandler) -> None:
    handler.save("bard", writer(), RECORD)
    inode = (handler.load("bard") / "model.safetensors").stat().st_ino
    handler.rename("bard", "poet")
    entry = handler.get("poet")
    assert names(handler) == ["poet"]
    assert entry.record is not None and entry.record.name == "poet"
    assert "# poet" in (entry.folder / "README.md").read_text()
    assert (entry.folder / "model.safetensors").stat().st_ino == inode
    assert handler.verify("poet") == []
    handler.save("bard", writer(), RECORD)
    with pytest.raises(ModelError, match="already"):
        handler.rename("bard", "poet")
    with pytest.raises(ModelError, match="already"):
        handler.rename("bard", "bard")


def test_a_note_is_kept_in_record_and_card(handler: ModelHandler) -> None:
    handler.save("bard", writer(), RECORD)
    text = "The best one.\n```\n== forged ==\n\x1b[31m"
    entry = handler.note("bard", text)
    assert entry.record is not None and entry.record.notes == text
    assert "The best one." in (entry.folder / "README.md").read_text()
    assert "\x1b" not in (entry.folder / "README.md").read_text()
    assert handler.verify("bard") == []


def test_a_note_does_not_hide_damage(handler: ModelHandler) -> None:
    handler.save("bard", writer(b"weights"), RECORD)
    (handler.get("bard").folder / "model.safetensors").write_bytes(b"weightz")
    handler.note("bard", "x")
    assert any("damaged" in problem for problem in handler.verify("bard"))


def test_a_failing_write_leaves_nothing_and_is_a_sentence(handler: ModelHandler) -> None:
    def fail(folder: Path) -> None:
        writer()(folder)
        raise RuntimeError("No space left on device")

    with pytest.raises(ModelError, match=r"bard could not be saved.*No space left"):
        handler.save("bard", fail, RECORD)
    with pytest.raises(ModelError, match=r"model\.safetensors was not written"):
        handler.save("bard", lambda folder: (folder / "config.json").write_text("{}") and None, RECORD)
    with pytest.raises(ModelError, match="not a plain file"):
        handler.save("bard", lambda folder: (folder / "sub").mkdir(), RECORD)
    assert names(handler) == []
    assert not handler.notes.exists()
    assert [p.name for p in handler.library.root.iterdir()] == [".library.lock"]


def test_every_save_appends_a_parseable_entry_to_the_diary(handler: ModelHandler) -> None:
    handler.save("bard", writer(), RECORD)
    noted = msgspec.structs.replace(RECORD, notes="two\nlines\n== forged ==\ndate: never\u2028\x1b[0m")
    handler.save("poet", writer(), noted)
    handler.save("bard", writer(), RECORD, replace=True)
    first, second, third = read_entries(handler.notes)
    assert [first.name, second.name, third.name] == ["bard", "poet", "bard"]
    assert first.fields["model"] == "gpt2, 4 layers x 256, 4 heads, context 256, 1,803,840 parameters"
    assert first.fields["corpus"] == f"fables.txt (sha256 {'ab' * 32})"
    assert first.fields["training"] == "592 steps, 2,424,832 tokens, 170 s on cpu"
    assert first.fields["losses"].startswith("train 1.4123, validation 1.5300")
    assert first.fields["configuration"] == "train.max_minutes=3.0"
    assert first.fields["curve"] == "step 10 3.1339, 592 1.5300"
    assert first.fields["sample"] == "seed 7: Once there was a fox."
    assert second.fields["notes"] == "two\nlines\n== forged ==\ndate: never\\u2028␛[0m"
    assert second.date == handler.get("poet").record.created  # type: ignore[union-attr]


def test_other_text_in_the_diary_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    assert read_entries(path) == []
    path.write_bytes(b"Notes\n\nmodel: none\n== a ==\ndate: now\n\nfree text\n    indented\n\xff\n== b ==\n")
    assert [(e.name, e.fields) for e in read_entries(path)] == [("a", {"date": "now"}), ("b", {})]


def test_the_card_has_front_matter_that_the_hub_can_read() -> None:
    record = msgspec.structs.replace(
        RECORD,
        license="mit",
        parent="hub:fable/fox@0123456",
        corpus=CorpusRecord(source="a`b\n---\n# x", sha256="0" * 64),
        notes="```\n---\n# not a title",
    )
    card = model_card(record)
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "mit",
        "base_model": "fable/fox",
        "tags": ["tui-gpt", "gpt2"],
    }
    assert "``a`b␊---␊# x``" in body.replace("`` ", "``").replace(" ``", "``")
    assert "````text\n```\n---" in body
    assert "license" not in model_card(RECORD)


def test_the_hubs_own_client_reads_the_card(handler: ModelHandler) -> None:
    record = msgspec.structs.replace(RECORD, corpus=CorpusRecord(source="stories", sha256="0" * 64), parent="bard")
    entry = handler.save("fox", writer(), record)
    data = ModelCard.load(entry.folder / "README.md").data
    assert isinstance(data, ModelCardData)
    assert data.to_dict() == {
        "language": "en",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["tui-gpt", "gpt2"],
    }


def test_the_card_of_a_mix_says_what_its_hash_is_of_and_a_language_only_where_all_parts_have_it() -> None:
    def card(*mix: str) -> str:
        config = to_dict(RunConfig(data=DataConfig(mix=mix)))
        corpus = CorpusRecord(source="stories with 25 % another", sha256="0" * 64)
        return model_card(msgspec.structs.replace(RECORD, corpus=corpus, config=config))

    both = card("python-docs=0.25")
    assert "- Trained on: `stories with 25 % another` (SHA-256 of the texts and shares: `000" in both
    assert both.startswith("---\nlanguage: en\n")
    assert "datasets" not in both
    hub = card("hub:ann/tales@main=0.2", "hub:ann/tales:test=0.1", "tinystories=0.1")
    assert 'datasets: ["ann/tales", "roneneldan/TinyStories"]\n' in hub
    for other in ("python=0.25", "./python-docs=0.25", "/texts/stories=0.25"):
        assert "language:" not in card(other)


def test_the_card_tells_how_long_it_was_trained_and_how_well_it_predicts() -> None:
    card = model_card(RECORD)
    assert "- Training: 592 steps, 2,424,832 tokens, 170 s on cpu\n" in card
    assert "- Training loss: 1.4123 nats per token\n" in card
    assert "- Validation loss: 1.5300 nats per token, perplexity 4.618 per token, 2.2000 bits per byte\n" in card
    assert "- Best validation loss on the way: 1.5200 nats per token\n" in card
    assert "perplexity" not in model_card(msgspec.structs.replace(RECORD, val_loss=1e9))


def test_the_way_to_llama_cpp_is_told_where_there_is_one() -> None:
    record = msgspec.structs.replace(RECORD, name="fox")
    way = "tui-gpt models gguf fox --type f16 --output fox.gguf\nllama-cli -m fox.gguf -no-cnv -p 'Once'\n"
    assert way in model_card(record)
    record = msgspec.structs.replace(record, tokenizer=TokenizerRecord(kind="char", vocab_size=65))
    assert "gguf" not in model_card(record)


AWKWARD = """it's "so"\\\n\t\x1b[31m ``` $HOME `date` \u202e\u3164 漢 🦊 👩\u200d👧"""


def test_the_python_in_the_card_means_the_prompt_whatever_is_in_it() -> None:
    record = msgspec.structs.replace(RECORD, sample=SampleRecord(text="x", prompt=AWKWARD))
    code = model_card(record).split("```python\n")[1].split("\n```\n")[0]
    constants = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert AWKWARD in constants
    assert safe_text(code) == code


def test_the_shell_commands_in_the_card_mean_the_prompt_whatever_is_in_it() -> None:
    for prompt in ("One day", "it's", AWKWARD):
        record = msgspec.structs.replace(RECORD, sample=SampleRecord(text="x", prompt=prompt))
        command = model_card(record).split("```sh\n")[1].split("\n```\n")[0]
        assert safe_text(command) == command
        spoken = subprocess.run(
            ["bash", "-c", command.replace("tui-gpt sample", "printf '%s\\0'")], capture_output=True, check=True
        )
        assert spoken.stdout.decode().split("\0")[2] == prompt


def test_the_prompt_of_the_card_is_one_that_the_tokenizer_knows_and_leaves_room() -> None:
    written = msgspec.structs.replace(RECORD, sample=SampleRecord(text="\n Жила-была лиса."))
    assert 'write("Жила-была", max_new_tokens=100)' in model_card(written)
    unwritten = msgspec.structs.replace(RECORD, sample=None)
    assert 'write("Once upon a time", max_new_tokens=100)' in model_card(unwritten)
    small = RunConfig(model=ModelConfig(n_positions=32))
    assert 'write("Once", max_new_tokens=28)' in model_card(msgspec.structs.replace(RECORD, config=to_dict(small)))


FIRST_CARD = """---
language: en
library_name: transformers
pipeline_tag: text-generation
tags:
- tui-gpt
- "gpt2"
---

# bard

A language model made with tui-gpt.

- Model: gpt2, 4 layers x 256, 4 heads, context 256, 1,803,840 parameters
- Trained on: `fables.txt`
"""
"""The beginning of what version 0.1 wrote."""


def brings(card: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        writer()(folder)
        (folder / "README.md").write_text(card)

    return write


def test_a_card_of_the_first_version_is_written_anew(handler: ModelHandler) -> None:
    card = handler.save("bard", brings(FIRST_CARD), RECORD).folder / "README.md"
    assert card.read_text() == FIRST_CARD
    assert "# copy" in (handler.fork("bard", "copy").folder / "README.md").read_text()
    handler.note("bard", "The best one.")
    assert "The best one." in card.read_text() and "language:" not in card.read_text()
    handler.rename("bard", "poet")
    assert "# poet" in (handler.get("poet").folder / "README.md").read_text()
    assert [handler.verify(name) for name in names(handler)] == [[], []]


@pytest.mark.parametrize("before", [FIRST_CARD, None])
def test_a_card_that_somebody_changed_stays_as_it_is(handler: ModelHandler, before: str | None) -> None:
    entry = handler.save("bard", writer() if before is None else brings(before), RECORD)
    card = entry.folder / "README.md"
    card.write_text(card.read_text().replace("A language model", "The finest language model"))
    mine = card.read_text()
    with pytest.raises(ModelError, match="bytes instead"):
        handler.load("bard")
    handler.note("bard", "The best one.")
    assert card.read_text() == mine


def test_a_card_that_came_with_somebodys_weights_stays_as_it_is(handler: ModelHandler) -> None:
    theirs = model_card(msgspec.structs.replace(RECORD, name="bard", created="2025-01-31T08:15:00Z"))
    for number, card in enumerate((theirs, FIRST_CARD)):
        known = msgspec.structs.replace(RECORD, config=None, corpus=None, created="")
        entry = handler.save(f"fox-{number}", brings(card), known)
        handler.note(entry.name, "hello")
        assert (entry.folder / "README.md").read_text() == card


def test_notes_that_end_like_a_card_deceive_nobody(handler: ModelHandler) -> None:
    entry = handler.save("bard", writer(), RECORD)
    card = entry.folder / "README.md"
    handler.note("bard", card.read_text())
    handler.note("bard", "short")
    assert "```text\nshort\n```" in card.read_text()


def test_a_record_survives_its_file() -> None:
    assert encode_record(decode_record(encode_record(RECORD), "x")) == encode_record(RECORD)
    broken = msgspec.structs.replace(RECORD, val_loss=float("nan"))
    assert decode_record(encode_record(broken), "x").val_loss is None


def test_the_damaged_are_listed_with_the_reason(handler: ModelHandler, tmp_path: Path) -> None:
    handler.save("good", writer(), RECORD)
    for name in ("cut", "newer", "unknown-key", "no-config", "outside", "my model"):
        folder = handler.library.root / name
        folder.mkdir()
        writer()(folder)
    record = encode_record(RECORD)
    root = handler.library.root
    (root / "cut" / "tui_gpt.json").write_bytes(record[:100])
    (root / "newer" / "tui_gpt.json").write_text('{"schema": 2, "shape": "unheard of"}')
    (root / "unknown-key" / "tui_gpt.json").write_bytes(record.replace(b'"steps"', b'"stepz"'))
    (root / "no-config" / "config.json").unlink()
    (root / "outside" / "tui_gpt.json").write_text(
        json.dumps({"name": "x", "family": "gpt2", "schema": 1, "files": {"../../x": {"size": 1, "sha256": "0" * 64}}})
    )
    (root / "link").symlink_to(tmp_path / "examples")
    problems = {e.name: e.problem for e in handler.list() if isinstance(e, DamagedModel)}
    assert set(problems) == {"cut", "newer", "unknown-key", "no-config", "outside", "my model", "link"}
    assert "newer tui-gpt (schema 2" in problems["newer"]
    assert "stepz" in problems["unknown-key"]
    assert "missing" in problems["no-config"]
    assert "is a link" in problems["link"]
    assert "damaged" in problems["cut"] and "damaged" in problems["outside"]
    with pytest.raises(ModelError, match="newer"):
        handler.load("newer")
    handler.rename("cut", "still-cut")
    assert handler.delete("still-cut") > 0
    with pytest.raises(ModelError, match="link"):
        handler.delete("link")
    assert (tmp_path / "examples").is_dir()


def test_a_file_in_the_place_of_the_library_is_said_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    handler = ModelHandler(tmp_path / "home" / "models", tmp_path / "none", tmp_path / "notes.txt")
    with pytest.raises(ModelError, match="no folder"):
        handler.list()
