"""`sample`, `chat` and `eval`: stdout is the text, exit codes mean something, and foreign text commands no terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Call, Trained, environment, tiny_training

from tui_gpt.core.safe_stream import SafeStream
from tui_gpt.core.safe_text import safe_text

DEADLINE = 60.0


def start(trained: Trained, *arguments: str, **more: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tui_gpt", *arguments]
    return subprocess.Popen(command, env=environment(trained.home), **more)  # type: ignore[call-overload, no-any-return]


def test_a_sample_is_prompt_and_continuation_and_nothing_else(trained: Trained, call: Call) -> None:
    done = call("sample", "toy", "--prompt", "The", "--max-new-tokens", "30", "--seed", "5", home=trained.home)
    assert done.code == 0
    assert done.out.startswith("The")
    assert len(done.out) == 33
    assert "seed 5" in done.err
    assert "tokens/s" in done.err
    alone = call("sample", "toy", "--prompt", "The", "--max-new-tokens", "30", "--seed", "5", "--no-prompt")
    assert "The" + alone.out == done.out


def test_json_has_one_object_per_sample_with_all_that_makes_it_again(trained: Trained, call: Call) -> None:
    options = ("--prompt", "A", "--max-new-tokens", "12", "--n-samples", "3", "--json")
    done = call("sample", "toy", *options, home=trained.home)
    samples = [json.loads(line) for line in done.out.splitlines()]
    assert [sample["sample"] for sample in samples] == [0, 1, 2]
    assert {(sample["prompt"], sample["tokens"], sample["reason"]) for sample in samples} == {("A", 12, "length")}
    again = call("sample", "toy", *options, "--seed", str(samples[0]["seed"]))
    assert [json.loads(line)["text"] for line in again.out.splitlines()] == [sample["text"] for sample in samples]
    assert samples[0]["tokens_per_second"] > 0


def test_several_samples_stand_one_after_the_other(trained: Trained, call: Call) -> None:
    options = ("--prompt", "A", "--max-new-tokens", "12", "--n-samples", "3", "--seed", "1")
    texts = [
        json.loads(line)["text"]
        for line in call("sample", "toy", *options, "--json", home=trained.home).out.splitlines()
    ]
    shown = call("sample", "toy", *options).out
    blocks = [block.split(" ----\n")[1] for block in shown.split("---- sample ")[1:]]
    assert [block.rstrip("\n") for block in blocks] == [f"A{text}".rstrip("\n") for text in texts]


@pytest.mark.parametrize("option", ["--prompt", "--prompt-file"])
def test_a_dash_reads_the_prompt_from_stdin(option: str, trained: Trained, call: Call) -> None:
    done = call("sample", "toy", option, "-", "--max-new-tokens", "3", stdin=b"A dog", home=trained.home)
    assert done.out.startswith("A dog")


def test_a_prompt_file_is_read_in_its_encoding(trained: Trained, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_bytes("A dog\r\nran".encode("utf-16"))
    done = call("sample", "toy", "--prompt-file", file, "--max-new-tokens", "3", home=trained.home)
    assert done.out.startswith("A dog\nran")


def test_without_a_prompt_the_model_begins_by_itself(trained: Trained, call: Call) -> None:
    assert len(call("sample", "toy", "--max-new-tokens", "9", home=trained.home).out) == 9


def test_a_run_and_a_folder_can_write_as_well_as_a_model(trained: Trained, call: Call, tmp_path: Path) -> None:
    options = ("--prompt", "The", "--seed", "2", "--max-new-tokens", "20")
    model = call("sample", "toy", *options, home=trained.home)
    folder = call("sample", f"{trained.home}/models/toy", *options)
    last = call("sample", "toy", "--checkpoint", "last", *options)
    step = call("sample", "toy", "--checkpoint", "20", *options)
    assert model.out == folder.out == step.out
    assert last.out == step.out
    assert "run toy, step 20" in step.err
    shutil.copytree(trained.home / "runs", tmp_path / "runs")
    only_run = call("sample", "toy", *options, home=tmp_path)
    assert only_run.out == model.out
    assert "run toy" in only_run.err


def test_a_run_writes_while_it_trains(trained: Trained, call: Call, tmp_path: Path) -> None:
    home = tmp_path / "home"
    started = call(*tiny_training(trained.text, "live", "--steps", "1000000", "--detach"), home=home)
    assert started.code == 0, started.err
    try:
        deadline = time.monotonic() + DEADLINE
        while (done := call("sample", "live", "--max-new-tokens", "5")).code == 4 and time.monotonic() < deadline:
            assert "no checkpoint yet" in done.err
        assert done.code == 0, done.err
        assert "run live, step" in done.err
        assert call("runs", "show", "live", "--json").json["summary"]["state"] == "running"
    finally:
        assert call("runs", "stop", "live").code == 0


def test_an_interrupted_sample_keeps_its_text_and_leaves_with_130(trained: Trained) -> None:
    process = start(
        trained, "sample", "toy", "--max-new-tokens", "9999999", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    first = process.stdout.read(5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert first
    assert b"Traceback" not in errors
    assert b"tokens/s" in errors


def test_a_reader_that_has_enough_is_no_error(trained: Trained) -> None:
    process = start(
        trained, "sample", "toy", "--max-new-tokens", "9999999", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(3)
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait(DEADLINE) == 0
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors
    process.stderr.close()


def read_terminal(descriptor: int, process: subprocess.Popen[bytes]) -> bytes:
    """All that a process shows in its terminal."""
    shown, deadline = b"", time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                block = os.read(descriptor, 4096)
            except OSError:  # Linux's way of saying that the other side is closed
                break
            if not block:
                break
            shown += block
        elif process.poll() is not None:
            break
    return shown


def test_control_characters_are_raw_in_a_pipe_and_harmless_in_a_terminal(trained: Trained, call: Call) -> None:
    arguments = ("sample", "toy", "--prompt", "\x1b[31mred", "--max-new-tokens", "1")
    assert call(*arguments, home=trained.home).out.startswith("\x1b[31mred")
    ours, theirs = pty.openpty()
    process = start(trained, *arguments, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    shown = read_terminal(ours, process)
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    assert b"\x1b" not in shown
    assert "␛[31mred".encode() in shown


def test_in_a_terminal_ctrl_c_stops_the_reply_and_not_the_conversation(trained: Trained) -> None:
    ours, theirs = pty.openpty()
    options = ("--max-new-tokens", "9999999")
    process = start(
        trained, "chat", "toy", *options, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = wait_for(ours, lambda shown: shown.endswith(b"> "))
    os.write(ours, b"The cat\n")
    # The typed line comes back from the terminal; what is longer is the model's.
    shown = wait_for(ours, lambda shown: len(shown.partition(b"The cat")[2]) > 20, shown)
    process.send_signal(signal.SIGINT)
    wait_for(ours, lambda shown: shown.endswith(b"\n> "), shown)
    os.write(ours, b"/quit\n")
    shown = read_terminal(ours, process)
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    assert b"Traceback" not in shown


def wait_for(descriptor: int, wanted: Callable[[bytes], bool], shown: bytes = b"") -> bytes:
    """Read a terminal, which has `shown` this already, until it shows what is wanted; all that it shows then."""
    deadline = time.monotonic() + DEADLINE
    while not wanted(shown):
        assert time.monotonic() < deadline, shown
        if select.select([descriptor], [], [], 0.1)[0]:
            shown += os.read(descriptor, 4096).replace(b"\r", b"")
    return shown


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "1️⃣ 2 #️⃣",
        "👩‍👩‍👧 family",
        "a\u200db\ufe0f",
        "\u200d\ufe0f",
        "❤️\u200d🔥",
        "\x1b]0;x\x07\u202e",
        "9" * 600,
        "\ufe0f" * 600,
    ],
)
def test_safe_text_of_pieces_is_that_of_the_whole(text: str) -> None:
    for size in (1, 2, 3):
        stream = SafeStream()
        pieces = [stream.push(text[i : i + size]) for i in range(0, len(text), size)]
        shown = "".join(pieces) + stream.flush()
        assert shown == safe_text(text)


def test_a_letter_is_shown_at_once() -> None:
    assert SafeStream().push("abc ") == "abc "


def test_a_conversation_goes_on_from_what_was_said(trained: Trained, call: Call) -> None:
    said = b"The cat\n\n/retry\n/undo\n/reset\nThe cat\n/quit\nnever read\n"
    options = ("--seed", "3", "--max-new-tokens", "8", "--temperature", "0")
    done = call("chat", "toy", *options, stdin=said, home=trained.home)
    assert done.code == 0, done.err
    first = call("sample", "toy", "--prompt", "The cat", "--no-prompt", *options).out
    both = call("sample", "toy", "--prompt", "The cat" + first, "--no-prompt", *options).out
    wanted = "".join(reply + ("" if reply.endswith("\n") else "\n") for reply in (first, both, both, first))
    assert done.out == wanted


def test_a_retry_draws_anew_and_a_seed_gives_the_same_conversation_again(trained: Trained, call: Call) -> None:
    said = b"The cat\n/retry\n"
    done = call("chat", "toy", "--max-new-tokens", "40", stdin=b"/seed 9\n" + said, home=trained.home)
    again = call("chat", "toy", "--max-new-tokens", "40", "--seed", "9", stdin=said)
    assert done.out == again.out
    middle = len(done.out) // 2
    assert done.out[:middle] != done.out[middle:]


def test_a_wrong_line_does_not_end_the_conversation(trained: Trained, call: Call) -> None:
    said = b"/nothing\n/set temperature=hot\n/set n_samples=2\n/undo\nschr\xc3\xb6n\n\xff\n/set\n/help\nA cat\n"
    done = call("chat", "toy", "--max-new-tokens", "4", stdin=said, home=trained.home)
    assert done.code == 0
    assert done.err.count("error: ") == 6
    assert "sample.temperature" in done.err
    assert "temperature = 0.8" in done.err
    assert "/retry" in done.err
    assert len(done.out.rstrip("\n")) >= 3


def test_eval_reproduces_the_loss_of_the_trainer(trained: Trained, call: Call) -> None:
    printed = trained.narration.split("over the whole validation text")[0].split("validation loss ")[-1].split(" ")[0]
    done = call("eval", "toy", "--json", home=trained.home)
    assert done.code == 0, done.err
    assert f"{done.json['loss']:.4f}" == printed
    assert done.json["loss"] == pytest.approx(done.json["trainer_loss"], abs=1e-6)
    assert call("eval", "toy", "--checkpoint", "20", "--json").json["loss"] == pytest.approx(done.json["loss"])
    assert printed in call("eval", "toy").out


def test_eval_of_a_file_and_of_stdin_agree(trained: Trained, call: Call, tmp_path: Path) -> None:
    content = b"The cat sat on the mat.\r\nA dog ran.\r\n"
    file = tmp_path / "cat.txt"
    file.write_bytes(content)
    of_file = call("eval", "toy", file, "--json", home=trained.home).json
    of_stdin = call("eval", "toy", "-", "--json", stdin=content).json
    assert of_file["loss"] == of_stdin["loss"]
    assert (of_file["tokens"], of_file["bytes"]) == (34, 34)
    assert of_file["bits_per_byte"] == pytest.approx(of_file["loss"] / 0.6931471805599453)


def test_eval_refuses_a_text_that_has_changed(trained: Trained, call: Call, tmp_path: Path) -> None:
    home = tmp_path / "home"
    text = tmp_path / "own.txt"
    shutil.copytree(trained.home, home)
    shutil.copy(trained.text, text)
    record = home / "runs" / "toy" / "run.json"
    record.write_text(record.read_text().replace(str(trained.text), str(text)))
    assert call("eval", "toy", "--checkpoint", "best", home=home).code == 0
    text.write_text(trained.text.read_text() + "One more line.\n")
    changed = call("eval", "toy", "--checkpoint", "best")
    assert changed.code == 3
    assert "is not the text that" in changed.err
    text.unlink()
    missing = call("eval", "toy", "--checkpoint", "best")
    assert missing.code == 3
    assert "give a FILE" in missing.err


def test_weights_in_fewer_bits_write_too_and_what_is_no_precision_is_said(trained: Trained, call: Call) -> None:
    options = ("--prompt", "The", "--max-new-tokens", "20", "--seed", "5")
    for precision in ("bf16", "int8"):
        done = call("sample", "toy", *options, "--precision", precision, home=trained.home)
        assert done.code == 0
        assert len(done.out) == 23
    wrong = call("sample", "toy", *options, "--precision", "int4")
    assert wrong.code == 2
    assert "'int4' is not one of 'float32', 'bf16', 'int8'" in wrong.err


def test_without_a_compiler_fewer_bits_are_refused_in_a_sentence(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.home / "models", tmp_path / "models")
    surroundings = environment(tmp_path) | {"CC": "/nowhere/cc"}
    command = [sys.executable, "-m", "tui_gpt", "sample", "toy", "--prompt", "The", "--max-new-tokens", "5"]
    plain = subprocess.run(command, check=False, env=surroundings, capture_output=True, text=True, timeout=DEADLINE)
    assert plain.returncode == 0
    asked = subprocess.run(
        [*command, "--precision", "int8"],
        check=False,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert asked.returncode == 2
    assert "int8 cannot be had here: no C compiler is installed" in asked.stderr
    assert "Traceback" not in asked.stderr
