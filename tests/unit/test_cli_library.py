"""`models`, `corpora`, `config`, `doctor`, help, completion, and what bad input comes to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Call, Trained, environment, tiny_training

from tui_gpt import cli
from tui_gpt.cli.doctor_machine import compile_seconds
from tui_gpt.core.config import SECTIONS, RunConfig
from tui_gpt.core.config_loading import build_config, field_docs, read_toml
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.presets import PRESETS, preset_config


def test_models_are_listed_shown_verified_forked_noted_renamed_and_deleted(
    trained: Trained, call: Call, tmp_path: Path
) -> None:
    import shutil

    home = tmp_path / "home"
    shutil.copytree(trained.home / "models", home / "models")
    assert call("models", "list", home=home).out.startswith("NAME")
    assert [m["name"] for m in call("models", "list", "--json").json if not m["read_only"]] == ["toy"]
    assert "pets.txt" in call("models", "show", "toy").out
    assert call("models", "fork", "toy", "copy").code == 0
    assert call("models", "note", "copy", "-", stdin="voilà \x1b[2J".encode()).code == 0
    assert "voilà ␛[2J" in call("models", "show", "copy").out
    shown = call("models", "show", "copy", "--json")
    assert shown.out.isascii()
    assert (shown.json["record"]["parent"], shown.json["record"]["notes"]) == ("toy", "voilà \x1b[2J")
    assert call("models", "rename", "copy", "other").code == 0
    assert call("models", "verify", "other", "--json").json == [{"name": "other", "intact": True, "problems": []}]
    assert call("models", "delete", "other", stdin=b"n\n").code == 1
    assert call("models", "delete", "other").code == 1
    assert call("models", "delete", "other", stdin=b"y\n").code == 0
    assert call("models", "delete", "other", "--yes").code == 5


def test_a_flipped_byte_is_found_and_such_a_model_does_not_write(trained: Trained, call: Call, tmp_path: Path) -> None:
    import shutil

    home = tmp_path / "home"
    shutil.copytree(trained.home / "models", home / "models")
    weights = home / "models" / "toy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    verified = call("models", "verify", home=home)
    assert verified.code == 5
    assert "model.safetensors is damaged" in verified.out
    for command in (("sample", "toy"), ("sample", f"{home}/models/toy"), ("eval", "toy"), ("chat", "toy")):
        done = call(*command)
        assert done.code == 5
        assert "damaged" in done.err


def test_a_corpus_is_told_in_numbers_a_sample_and_tokens(trained: Trained, call: Call, home: Path) -> None:
    text = trained.text.read_text(encoding="utf-8")
    found = call("corpora", "show", trained.text, "--json", home=home)
    assert found.out.isascii()
    assert found.json["characters"] == len(text)
    assert found.json["distinct_characters"] == len(set(text))
    assert "".join(token["text"] for token in found.json["line_tokens"]) == found.json["line"]
    shown = call("corpora", "show", trained.text, "--tokenizer", "bpe", "--bpe-vocab-size", "300").out
    assert "bpe, " in shown
    assert "\x1b" not in shown
    assert "The| cat" in shown or "The|" in shown


def test_generated_corpora_take_a_size(call: Call, home: Path) -> None:
    found = call("corpora", "show", "stories", "--megabytes", "0.02", "--tokenizer", "char", "--json", home=home).json
    assert 20_000 <= found["bytes"] <= 30_000
    names = ["stories", "python", "python-docs", "conversations", "shakespeare", "tinystories", "wikitext-2"]
    assert [corpus["name"] for corpus in call("corpora", "list", "--json").json] == names


def test_what_config_show_prints_is_the_same_configuration(call: Call, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    for option in ("--toml", None):
        options = ("--preset", "nanogpt-shakespeare", "--set", "train.seed=7", *filter(None, [option]))
        file.write_text(call("config", "show", *options, home=home).out, encoding="utf-8")
        again = call("config", "show", "--config", file, "--json").json
        config = build_config(("test", again))
        assert config.model == preset_config("nanogpt-shakespeare").model
        assert config.train.seed == 7
        assert read_toml(file)["train"]["max_steps"] == 5000
    assert isinstance(config, RunConfig)


def test_every_preset_and_every_field_is_explained(call: Call, home: Path) -> None:
    assert [preset["name"] for preset in call("config", "presets", "--json", home=home).json] == list(PRESETS)
    assert all(f"\n{name}" in call("config", "presets").out for name in PRESETS)
    assert [doc["path"] for doc in call("config", "fields", "--json").json] == [doc.path for doc in field_docs()]
    shown = call("config", "fields").out
    assert all(f"{doc.path} = " in shown for doc in field_docs())
    only = call("config", "fields", "sample", "--json").json
    assert len(only) == len(SECTIONS["sample"].__struct_fields__)


def test_a_published_size_checks_out_and_another_does_not(call: Call, home: Path) -> None:
    good = call("config", "check", "--preset", "gpt2-medium", "--against", "gpt2-medium", home=home)
    assert (good.code, good.out.count("✓"), good.out.count("✗")) == (0, 10, 0)
    assert "354,823,168" in good.out
    bad = call("config", "check", "--preset", "gpt2", "--set", "model.n_layer=13", "--json")
    assert bad.code == 1
    assert {field["field"] for field in bad.json["fields"] if not field["equal"]} == {"n_layer", "parameters"}
    assert bad.json["against"] == "gpt2"
    assert call("config", "check", "--against", "gpt9").code == 2
    assert call("config", "check", "--set", "model.n_head=5").code == 2


def test_the_marks_are_ascii_where_stdout_is(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt", "config", "check", "--preset", "gpt2", "--set", "model.n_head=6"],
        env={**environment(home), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.isascii()
    assert b"\n+  n_embd" in done.stdout
    assert b"\nx  n_head" in done.stdout


def test_speed_is_measured_by_training(call: Call, home: Path) -> None:
    small = [
        "--set",
        "model.n_layer=1",
        "--set",
        "model.n_embd=32",
        "--set",
        "model.n_head=2",
        "--set",
        "train.device=cpu",
    ]
    measured = call("config", "speed", "--seconds", "0.2", *small, "--json", home=home).json
    assert measured["tokens_per_second"] > 0
    assert measured["steps"] >= 2
    assert not (home / "runs").exists()


@pytest.mark.slow
def test_a_plan_is_a_configuration_for_the_time_and_the_text(call: Call, home: Path, tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("A fox saw a crow on a branch, with a piece of cheese in its beak.\n" * 100)
    planned = call("config", "plan", text, "--minutes", "2", "--set", "train.device=cpu", home=home)
    assert "in 2 minutes this machine" in planned.err
    file = tmp_path / "plan.toml"
    file.write_text(planned.out)
    config = call("config", "show", "--config", file, "--json").json
    assert config["train"]["max_minutes"] == 2
    assert config["train"]["device"] == "cpu"
    assert config["data"]["corpus"] == str(text)
    refused = call("config", "plan", text, "--minutes", "-1")
    assert refused.code == 2
    assert "is not a time to train in" in refused.err


def test_sizes_name_the_published_number_of_parameters(call: Call, home: Path) -> None:
    assert "1,557,611,200" in call("config", "sizes", "--preset", "gpt2-xl", home=home).out
    tree = call("config", "sizes", "--preset", "gpt2", "--json").json
    assert tree["parameters"]["total"] == 124_439_808
    assert tree["training_memory"]["float32"]["total"] > tree["generation_memory"]["total"] > 4 * 124_439_808


def test_the_doctor_finds_this_machine_usable(call: Call, home: Path) -> None:
    done = call("doctor", "--quick", "--json", home=home)
    assert done.code == 0
    assert done.json["usable"]
    names = {finding["name"] for finding in done.json["findings"]}
    assert {"tui-gpt", "device", "types", "compile", "threads", "memory", "terminal", "models", "cache"} <= names
    assert str(home) in call("doctor", "--quick").out
    assert not home.exists(), "looking changes nothing"


def test_the_doctor_says_what_to_do_where_nothing_can_be_kept(call: Call, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    done = call("doctor", "--quick", home=blocked / "home")
    assert done.code == 1
    assert "TUI_GPT_HOME" in done.err


def test_the_compiler_is_given_up_after_a_time() -> None:
    with pytest.raises(TuiGptError, match="more than 0 seconds"):
        compile_seconds("cpu", limit=0.05)


@pytest.mark.slow
def test_the_compiler_is_really_tried(call: Call, home: Path) -> None:
    finding = next(f for f in call("doctor", "--json", home=home).json["findings"] if f["name"] == "compile")
    assert finding["value"].startswith("works") or finding["advice"]


def test_no_arguments_mean_help(call: Call, home: Path) -> None:
    done = call(home=home)
    assert done.code == 0
    assert done.out.startswith("Usage: tui-gpt")
    for group in ("runs", "models", "corpora", "config"):
        assert call(group).out.startswith(f"Usage: tui-gpt {group}")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_examples(name: str, call: Call, home: Path) -> None:
    done = call(name, "--help", home=home)
    assert done.code == 0
    assert "Examples:" in done.out
    assert f"tui-gpt {name}" in done.out.split("Examples:")[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_switched_on(shell: str, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt"],
        env={**environment(home), "_TUI_GPT_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "_TUI_GPT_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sa", ["sample"]),
        ("sample t", ["toy"]),
        ("runs show t", ["toy"]),
        ("models show t", ["toy"]),
        ("train st", ["stories"]),
        ("train --preset nano", ["nanogpt-shakespeare-cpu", "nanogpt-shakespeare"]),
        ("train --set train.max", ["train.max_steps=", "train.max_epochs=", "train.max_minutes="]),
        ("config show --set train.optimizer=", ["train.optimizer=adamw", "train.optimizer=muon"]),
        ("config check --against gpt2-x", ["gpt2-xl"]),
    ],
)
def test_the_shell_is_offered_what_exists(
    line: str, offered: list[str], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.shell_completion import ShellComplete

    monkeypatch.setenv("TUI_GPT_HOME", str(trained.home))
    *words, incomplete = line.split(" ")
    items = ShellComplete(cli.cli, {}, "tui-gpt", "_TUI_GPT_COMPLETE").get_completions(words, incomplete)
    assert [item.value for item in items] == offered


BAD = [
    (5, "sample nobody"),
    (2, "sample .."),
    (2, "sample x\x1b[2J"),
    (5, "sample ../../etc"),
    (5, "sample /etc/passwd"),
    (2, "sample toy --temperature hot"),
    (2, "sample toy --temperature nan"),
    (2, "sample toy --temperature -1"),
    (2, "sample toy --top-p 0"),
    (2, "sample toy --device cuda:999999"),
    (2, "sample toy --device toaster"),
    (2, "sample toy --prompt A --prompt-file B"),
    (3, "sample toy --prompt-file missing.txt"),
    (3, "sample toy --prompt-file {binary}"),
    (3, "sample toy --prompt-file {folder}"),
    (3, "sample toy --prompt \u00e9"),
    (3, "sample toy --prompt \udcff"),
    (4, "sample nobody --checkpoint best"),
    (4, "sample toy --checkpoint 7"),
    (2, "sample toy --checkpoint worst"),
    (2, "sample"),
    (5, "chat nobody"),
    (2, "chat ../toy --checkpoint last"),
    (2, "chat toy --top-k -3"),
    (5, "eval nobody"),
    (3, "eval toy missing.txt"),
    (3, "eval toy {binary}"),
    (3, "eval toy {folder}"),
    (3, "eval toy {empty}"),
    (3, "eval toy {latin}"),
    (3, "eval toy {latin} --encoding klingon"),
    (2, "eval toy {latin} --corpus stories"),
    (2, "eval toy --corpus nothing"),
    (5, "models show nobody"),
    (2, "models show ../toy"),
    (2, "models rename toy ../../evil"),
    (2, "models rename toy con"),
    (5, "models fork nobody other"),
    (5, "models fork toy toy"),
    (3, "models note toy \udcff"),
    (5, "models verify nobody"),
    (2, "models delete .. --yes"),
    (5, "models delete nobody --yes"),
    (3, "corpora show missing.txt"),
    (3, "corpora show {binary}"),
    (3, "corpora show {latin}"),
    (2, "corpora show stories --megabytes nan"),
    (2, "corpora show stories --megabytes 1e9"),
    (2, "corpora show {latin} --bpe-vocab-size 3"),
    (2, "config show --preset nothing"),
    (2, "config show --config missing.toml"),
    (2, "config show --config {binary}"),
    (2, "config show --set train.learning_rat=1"),
    (2, "config show --toml --json"),
    (2, "config fields nothing"),
    (2, "config sizes --set model.n_head=7"),
    (4, "runs show nobody"),
    (2, "runs show ../toy"),
    (4, "runs pause toy"),
    (3, "train missing.txt"),
    (3, "train {binary}"),
    (3, "train {same} --tokenizer char"),
    (2, "train {plain} --set train.sample_prompt=\u0416"),
    (3, "train {empty}"),
    (2, "runs resume toy --lr-factor nan"),
    (2, "train {plain} --config /dev/zero"),
    (2, "train stories --name ../x"),
    (2, "nothing"),
]


@pytest.mark.parametrize(("code", "line"), BAD, ids=[ascii(line)[1:-1] for _, line in BAD])
def test_bad_input_is_one_sentence_and_an_exit_code(
    code: int, line: str, trained: Trained, call: Call, tmp_path: Path
) -> None:
    contents = {"binary": b"\x89PNG\r\n\x1a\n\0\0", "empty": b"", "latin": "sch\xf6n ".encode("latin-1") * 50}
    contents |= {"same": b"a" * 9000, "plain": b"The cat sat on the mat.\n" * 400}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    places = {name: tmp_path / name for name in (*contents, "folder")}
    before = sorted(path.name for path in (trained.home / "models").iterdir())
    done = call(*line.format(**places).split(" "), home=trained.home)
    assert done.code == code, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    sentences = [text for text in done.err.splitlines() if not text.startswith("see `")]
    assert len(sentences) == 1, done.err
    assert sentences[0].startswith("error: ")
    assert "unexpected" not in sentences[0]
    assert sorted(path.name for path in (trained.home / "models").iterdir()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_is_a_sentence(trained: Trained) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tui_gpt", "corpora", "list"],
            env=environment(trained.home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the output cannot be written: no space left")


def test_a_run_can_be_trained_with_every_stream_closed(home: Path, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("The cat sat on the mat.\n" * 400, encoding="utf-8")
    command = [sys.executable, "-m", "tui_gpt", *tiny_training(text, "mute", "--steps", "2")]
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    assert subprocess.run([*closing, *command], env=environment(home), check=False, timeout=120).returncode == 0


def test_a_file_name_with_control_sequences_is_told_safely(home: Path, tmp_path: Path, call: Call) -> None:
    text = tmp_path / "a\x1b[31m.txt"
    text.write_text("The cat sat on the mat.\n" * 400, encoding="utf-8")
    done = call(*tiny_training(text, "red", "--steps", "2", "--detach"), home=home)
    assert done.code == 0, done.err
    assert "\x1b" not in done.err
    call("runs", "stop", "red", home=home)


def test_help_holds_no_control_characters(call: Call, home: Path) -> None:
    assert "\b" not in call("--help", home=home).out


def test_an_unwritable_stdout_encoding_costs_characters_and_not_the_command(trained: Trained) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt", "corpora", "list"],
        env={**environment(trained.home), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert os.fsencode("stories") in done.stdout


@pytest.mark.parametrize("device", ["mps", "cuda:99"])
def test_a_device_that_is_not_there_is_said_before_a_run_takes_the_name(device: str, call: Call, home: Path) -> None:
    if device == "mps" and sys.platform == "darwin":
        pytest.skip("an Apple GPU may be there")
    done = call("train", "stories", "--name", "elsewhere", "--device", device, home=home)
    assert done.code == 2
    assert "train.device" in done.err and "Traceback" not in done.err
    assert not (home / "runs" / "elsewhere").exists()
