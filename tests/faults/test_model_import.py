"""`tui-gpt models import`: from folders, from an imitation of the Hub on loopback, and what must not come in."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_commands import Commands, Done
from hostile_files import slow_but
from hub_imitation import Hub, Repository, imitation
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.text.bpe_training import train_bpe

TEXT = "Once upon a time a small fox met the sea, and the sea was kind to it.\n" * 20
IDS = torch.arange(60)[None]


def gpt2(folder: Path, shard: str = "5GB", vocabulary: int = 300) -> Any:
    """A GPT-2 with random weights as transformers saves it, with a tokenizer."""
    torch.manual_seed(1)
    tokenizer = train_bpe([TEXT], 300)
    size = {
        "vocab_size": vocabulary,
        "n_positions": 64,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "initializer_range": 0.3,
    }
    model = GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=0)).eval()  # type: ignore[arg-type]
    model.save_pretrained(folder, max_shard_size=shard)
    tokenizer.save(folder)
    return model


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Any, Path]:
    """A model of somebody else, and the folder that it is in."""
    folder = tmp_path / "theirs"
    return gpt2(folder), folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_GPT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Importer:
    """Runs `tui-gpt models import` with a Hub of its own."""

    def __init__(self, commands: Commands, hub: Hub, cache: Path) -> None:
        self.hub, self.cache, self._commands = hub, cache, commands

    def __call__(self, *arguments: str | Path, **more: str) -> Done:
        surroundings = {
            "HF_ENDPOINT": self.hub.address,
            "HF_HOME": str(self.cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **more,
        }
        return self._commands.run("models", "import", *arguments, environment=surroundings)


@pytest.fixture
def importing(home: Path, tmp_path: Path) -> Iterator[Importer]:
    commands = Commands(home, tmp_path / "streams")
    with imitation() as hub:
        yield Importer(commands, hub, tmp_path / "cache")
    commands.close()


def assert_same_logits(name: str, model: Any) -> None:
    folder = ModelHandler().load(name)
    with torch.inference_mode():
        torch.testing.assert_close(read_model_folder(folder).network(IDS), model(IDS).logits, atol=1e-4, rtol=1e-4)


def refused(done: Done, home: Path) -> str:
    """The one sentence; nothing was added."""
    assert done.code == 5, done
    assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
    assert "Traceback" not in done.err
    models = home / "models"
    assert not models.exists() or [path.name for path in models.iterdir() if path.name != ".library.lock"] == []
    return done.err


# ---- folders


@pytest.mark.parametrize("shard", ["5GB", "60KB"])
def test_a_folder_that_transformers_saved_is_taken_as_it_is(
    importing: Importer, home: Path, tmp_path: Path, shard: str
) -> None:
    folder = tmp_path / "theirs"
    model = gpt2(folder, shard)
    (folder / "modeling_own.py").write_text("raise SystemExit('code')")
    done = importing(folder, "--as", "fox")
    assert done.code == 0, done
    assert "fox is in the library" in done.err
    taken = home / "models" / "fox"
    for path in folder.glob("*.safetensors*"):
        assert (taken / path.name).read_bytes() == path.read_bytes()
    assert (taken / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert not (taken / "modeling_own.py").exists()
    assert ModelHandler().verify("fox") == []
    record = ModelHandler().get("fox").record
    assert record is not None and (record.family, record.n_parameters) == ("gpt2", model.num_parameters())
    assert record.parent == str(folder)
    assert_same_logits("fox", model)
    again = importing(folder, "--as", "fox")
    assert again.code == 5 and "a model named fox is already in" in again.err


def test_a_tokenizer_in_two_files_becomes_one(importing: Importer, theirs: tuple[Any, Path]) -> None:
    _, folder = theirs
    whole = json.loads((folder / "tokenizer.json").read_text())["model"]
    ids = read_model_folder(folder).tokenizer.encode(TEXT)
    (folder / "vocab.json").write_text(json.dumps(whole["vocab"] | {"<|endoftext|>": 299}))
    merges = (" ".join(merge) if isinstance(merge, list) else merge for merge in whole["merges"])
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    (folder / "tokenizer.json").unlink()
    assert importing(folder).code == 0
    tokenizer = read_model_folder(ModelHandler().load("theirs")).tokenizer
    assert tokenizer.encode(TEXT) == ids
    assert tokenizer.eot_id == 299


def test_a_model_of_ours_from_another_machine_keeps_what_is_known_of_it(
    importing: Importer, home: Path, tmp_path: Path
) -> None:
    example = ModelHandler().load("stories")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in files_of(example).items():
        (copy / name).write_bytes(content)
    assert importing(copy, "--as", "tales").code == 0
    known, original = ModelHandler().get("tales").record, ModelHandler().get("stories").record
    assert known is not None and original is not None
    assert (known.corpus, known.val_loss, known.created) == (original.corpus, original.val_loss, original.created)
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-1] + b"\x01")
    done = importing(copy, "--as", "damaged")
    assert done.code == 5 and "SHA-256 is not the one it was saved with" in done.err


def _configured(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(content | changes))

    return change


def _without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def _with_a_tensor_too_few(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("transformer.ln_f.bias")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _with_a_head_of_its_own(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = torch.zeros_like(tensors["transformer.wte.weight"])
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


UNFIT: Mapping[str, tuple[Any, str]] = {
    "another family": (_configured(model_type="opt"), "config.json: model_type is 'opt'"),
    "another activation": (_configured(activation_function="relu"), "config.json: activation_function is 'relu'"),
    "quantized": (_configured(quantization_config={"bits": 4}), "config.json: quantization_config"),
    "no configuration": (_without("config.json"), "there is no config.json"),
    "no tokenizer": (_without("tokenizer.json"), "neither tokenizer.json nor vocab.json"),
    "no weights": (_without("model.safetensors"), "there is no model.safetensors"),
    "a tensor too few": (_with_a_tensor_too_few, "'transformer.ln_f.bias' is missing"),
    "a head that is not tied": (_with_a_head_of_its_own, "is not the token embedding, as tie_word_embeddings"),
}


@pytest.mark.parametrize("fault", slow_but(["another activation", "a head that is not tied"], UNFIT))
def test_what_cannot_be_opened_is_refused_by_its_field_and_nothing_comes_in(
    importing: Importer, theirs: tuple[Any, Path], home: Path, fault: str
) -> None:
    _, folder = theirs
    spoil, words = UNFIT[fault]
    spoil(folder)
    assert words in refused(importing(folder), home)


# ---- pickles


class Attack:
    """Runs a program when it is read."""

    def __init__(self, call: tuple[Any, ...]) -> None:
        self._call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


@pytest.mark.parametrize("family", slow_but(["gpt2"], ["gpt2", "qwen3"]))
def test_weights_in_a_pickle_are_read_only_when_asked_for(
    importing: Importer, theirs: tuple[Any, Path], home: Path, family: str
) -> None:
    model, folder = theirs
    if family == "qwen3":
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8, "vocab_size": 300}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, **heads, bos_token_id=0, eos_token_id=0)).eval()  # type: ignore[arg-type]
        model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    assert "add --pickle" in refused(importing(folder), home)
    done = importing(folder, "--pickle")
    assert done.code == 0, done
    assert_same_logits("theirs", model)
    assert not (home / "models" / "theirs" / "pytorch_model.bin").exists()


@pytest.mark.slow
def test_weights_in_several_pickles_are_read_too(importing: Importer, theirs: tuple[Any, Path]) -> None:
    model, folder = theirs
    (folder / "model.safetensors").unlink()
    state = model.state_dict()
    halves = {"pytorch_model-00001-of-00002.bin": {}, "pytorch_model-00002-of-00002.bin": {}}
    for number, (name, tensor) in enumerate(state.items()):
        halves[list(halves)[number % 2]][name] = tensor.clone()
    for name, half in halves.items():
        torch.save(half, folder / name)
    places = {tensor: name for name, half in halves.items() for tensor in half}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    done = importing(folder, "--pickle")
    assert done.code == 0, done
    assert_same_logits("theirs", model)


@pytest.mark.parametrize("protocol", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", slow_but(["system"], ["system", "open", "eval"]))
def test_a_pickle_that_would_do_something_does_nothing_even_when_asked_for(
    importing: Importer, theirs: tuple[Any, Path], home: Path, tmp_path: Path, how: str, protocol: int
) -> None:
    import os

    _, folder = theirs
    (folder / "model.safetensors").unlink()
    proof = tmp_path / "it-ran"
    calls: dict[str, tuple[Any, ...]] = {
        "system": (os.system, (f"touch {proof}",)),
        "open": (open, (str(proof), "w")),
        "eval": (eval, (f"open({str(proof)!r}, 'w')",)),
    }
    attack = {"transformer.wte.weight": Attack(calls[how])}
    if protocol == 2:
        torch.save(attack, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(attack, protocol=protocol))
    assert "cannot be read as plain weights" in refused(importing(folder, "--pickle"), home)
    assert not proof.exists()


GUARDED = """
import sys
from pathlib import Path
from tui_gpt.engine.interop.pickles import _guard
import os, socket, subprocess
target, proof = map(Path, sys.argv[1:])
_guard(target)
for name, attempt in {
    "system": lambda: os.system(f"touch {proof}"),
    "fork": os.fork,
    "process": lambda: subprocess.run(["touch", str(proof)]),
    "write": lambda: proof.write_text("x"),
    "remove": lambda: os.remove(__file__),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
}.items():
    try:
        attempt()
        print("did", name)
    except PermissionError:
        pass
target.write_text("tensors")
"""


def test_the_process_that_reads_a_pickle_can_do_nothing_but_write_its_result(tmp_path: Path) -> None:
    script, target, proof = (tmp_path / name for name in ("script.py", "target", "proof"))
    script.write_text(GUARDED)
    done = subprocess.run(
        [sys.executable, str(script), str(target), str(proof)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert target.read_text() == "tensors" and not proof.exists() and script.exists()


# ---- the Hub


def published(hub: Hub, folder: Path, *names: str, repository: str = "fable/fox") -> str:
    found = hub.repositories.setdefault(repository, Repository())
    return found.commit(files_of(folder), *names)


def test_a_repository_is_fetched_once_at_a_commit_that_is_written_down(
    importing: Importer, theirs: tuple[Any, Path]
) -> None:
    model, folder = theirs
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Fox\n")
    (folder / "flax_model.msgpack").write_bytes(b"x" * 5_000_000)
    commit = published(importing.hub, folder)
    done = importing("hub:fable/fox")
    assert done.code == 0, done
    record = ModelHandler().get("fox").record
    assert record is not None and (record.parent, record.license) == (f"hub:fable/fox@{commit}", "apache-2.0")
    assert_same_logits("fox", model)
    fetched = importing.hub.sent
    assert fetched < 2_000_000, "what makes no model was not fetched"
    assert importing("hub:fable/fox", "--as", "vixen").code == 0
    assert importing.hub.sent == fetched, "it lay in the cache"
    offline = importing("hub:fable/fox", "--as", "cub", HF_HUB_OFFLINE="1")
    assert offline.code == 0, offline
    assert [ModelHandler().verify(name) for name in ("fox", "vixen", "cub")] == [[]] * 3


@pytest.mark.slow
def test_a_commit_that_was_fetched_needs_no_network(importing: Importer, theirs: tuple[Any, Path]) -> None:
    commit = published(importing.hub, theirs[1])
    assert importing("hub:fable/fox").code == 0
    for number, source in enumerate((f"hub:fable/fox@{commit}", "hub:fable/fox")):
        away = importing(source, "--as", f"kit-{number}", HF_ENDPOINT="http://127.0.0.1:9")
        assert away.code == 0, away
    assert [ModelHandler().verify(f"kit-{number}") for number in range(2)] == [[], []]


@pytest.mark.slow
def test_a_pinned_revision_stays_what_it_was(importing: Importer, theirs: tuple[Any, Path]) -> None:
    _, folder = theirs
    first = published(importing.hub, folder, "v1")
    _configured(resid_pdrop=0.25)(folder)
    second = published(importing.hub, folder)
    for number, (revision, expected) in enumerate({"@v1": first, "": second, f"@{first}": first}.items()):
        assert importing(f"hub:fable/fox{revision}", "--as", f"fox-{number}").code == 0
        record = ModelHandler().get(f"fox-{number}").record
        assert record is not None and record.parent == f"hub:fable/fox@{expected}"


@pytest.mark.slow
def test_a_connection_that_breaks_is_taken_up_where_it_broke(importing: Importer, tmp_path: Path) -> None:
    model = gpt2(tmp_path / "large", vocabulary=200_000)
    published(importing.hub, tmp_path / "large")
    importing.hub.breaks_after = 22_000_000  # the client takes pieces of ten million bytes
    done = importing("hub:fable/fox")
    assert (done.code, done.err.count("\n")) == (0, 1), done
    assert importing.hub.ranges == ["bytes=20971520-"]
    assert_same_logits("fox", model)


@pytest.mark.slow
def test_a_connection_that_breaks_for_good_is_told_in_a_sentence(
    importing: Importer, theirs: tuple[Any, Path], home: Path
) -> None:
    published(importing.hub, theirs[1])
    importing.hub.breaks_after = 60_000
    assert "hub:fable/fox cannot be fetched" in refused(importing("hub:fable/fox"), home)


WRONG = {
    "no such repository": ({}, "hub:fable/nobody", "is no repository of the Hub, or a private one"),
    "no such revision": ({}, "hub:fable/fox@v9", "hub:fable/fox@v9 is no revision of fable/fox"),
    "gated": ({"status": 403, "error_code": "GatedRepo"}, "hub:fable/fox", "open only to those whom its owner lets in"),
    "a Hub that is ill": ({"status": 500}, "hub:fable/fox", "the Hub answered 500"),
    "no name": ({}, "hub:fable fox", "names no repository of the Hub"),
}


@pytest.mark.parametrize("what", slow_but(["no such repository", "gated"], WRONG))
def test_what_the_hub_does_not_give_is_told_in_a_sentence(
    importing: Importer, theirs: tuple[Any, Path], home: Path, what: str
) -> None:
    changes, source, words = WRONG[what]
    published(importing.hub, theirs[1])
    for name, value in changes.items():
        setattr(importing.hub.repositories["fable/fox"], name, value)
    assert words in refused(importing(source), home)


def test_without_a_network_the_sentence_says_so(importing: Importer, home: Path) -> None:
    assert "the Hub is switched off" in refused(importing("hub:fable/fox", HF_HUB_OFFLINE="1"), home)
    away = importing("hub:fable/fox", HF_ENDPOINT="http://127.0.0.1:9")
    assert "the Hub cannot be reached" in refused(away, home)


@pytest.mark.slow
def test_pickles_on_the_hub_are_not_even_fetched_unless_asked_for(
    importing: Importer, theirs: tuple[Any, Path], home: Path
) -> None:
    model, folder = theirs
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    published(importing.hub, folder)
    assert "add --pickle" in refused(importing("hub:fable/fox"), home)
    assert importing.hub.sent == 0
    done = importing("hub:fable/fox", "--pickle")
    assert done.code == 0, done
    assert_same_logits("fox", model)


@pytest.mark.slow
def test_a_second_commit_of_a_repository_does_not_reach_a_model_that_was_imported(
    importing: Importer, theirs: tuple[Any, Path]
) -> None:
    model, folder = theirs
    published(importing.hub, folder)
    assert importing("hub:fable/fox").code == 0
    for path in importing.cache.rglob("blobs/*"):
        path.write_bytes(b"") if path.stat().st_nlink == 1 else path.unlink()
    assert_same_logits("fox", model)
