"""`--guard` and `guards`: a declined prompt costs no model, and every answer has its account."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Call, Trained

CATS = """
title = "cats \\u001b[31m"
refusal = "Only cats\\u001b[2J."
threshold = 1.0
[[rules]]
says = "names a cat"
weight = 1.0
words = ["cat"]
"""


@pytest.fixture
def own(trained: Trained, tmp_path: Path) -> Path:
    """A home with the trained model, and a guard of one's own."""
    home = tmp_path / "home"
    (home / "guards").mkdir(parents=True)
    (home / "models").symlink_to(trained.home / "models")
    (home / "guards" / "cats.toml").write_text(CATS, encoding="utf-8")
    return home


def test_chat_answers_what_is_declined_without_the_model(own: Path, call: Call) -> None:
    options = ("--max-new-tokens", "5", "--temperature", "0")
    alone = call("chat", "toy", *options, stdin=b"The cat\n", home=own)
    said = b"The dog\nThe cat\nA hen\n/retry\n/undo\n\n"
    done = call("chat", "toy", "--guard", "cats", *options, stdin=said)
    assert done.code == 0, done.err
    # What was declined is no part of the text, and where nothing is said nobody is asked.
    both = call("chat", "toy", *options, stdin=b"The cat\n\n").out
    refusal = "Only cats\x1b[2J.\n"
    assert done.out == refusal + alone.out + 2 * refusal + both.removeprefix(alone.out)
    accounts = [line for line in done.err.splitlines() if " by cats: " in line]
    assert [line.split(" ")[0] for line in accounts] == ["declined", "accepted", "declined", "declined"]
    assert accounts[0].startswith("declined by cats: nothing in it that this guard knows; 0 tokens in 0.0")
    assert accounts[1].startswith('accepted by cats: names a cat ("cat"); 5 tokens in ')


def test_the_guard_can_be_changed_while_talking(own: Path, call: Call) -> None:
    said = b"The dog\n/guard\n/guard none\nThe dog\n/guard nobody\n/guard python\nThe cat\n"
    done = call("chat", "toy", "--guard", "cats", "--max-new-tokens", "5", stdin=said, home=own)
    assert done.code == 0
    assert "guard = cats; there are cats, python, stories" in done.err
    assert "there is no guard 'nobody'" in done.err
    assert "declined by python" in done.err
    assert len([line for line in done.err.splitlines() if "accepted by" in line]) == 0


def test_sample_declines_before_a_model_is_looked_for(own: Path, call: Call) -> None:
    done = call("sample", "no-such-model", "--guard", "cats", "--prompt", "The dog", home=own)
    assert (done.code, done.out) == (0, "Only cats\x1b[2J.\n")
    assert "declined by cats" in done.err
    refused = call("sample", "no-such-model", "--guard", "cats", "--prompt", "The dog", "--json").json
    assert (refused["model"], refused["tokens"], refused["reason"]) == (None, 0, "declined")
    assert refused["text"] == "Only cats\x1b[2J."
    assert refused["guard"].pop("seconds") >= 0
    nothing = "nothing in it that this guard knows"
    assert refused["guard"] == {"name": "cats", "accepted": False, "reason": nothing}


def test_every_sample_of_an_accepted_prompt_carries_the_verdict(own: Path, call: Call) -> None:
    options = ("--prompt", "The cat", "--max-new-tokens", "4", "--n-samples", "2")
    done = call("sample", "toy", "--guard", "cats", *options, "--json", home=own)
    samples = [json.loads(line) for line in done.out.splitlines()]
    assert [(sample["guard"]["accepted"], sample["tokens"]) for sample in samples] == [(True, 4)] * 2
    assert 'accepted by cats: names a cat ("cat"); 8 tokens in ' in done.err
    assert "guard" not in json.loads(call("sample", "toy", *options, "--json").out.splitlines()[0])


@pytest.mark.parametrize("command", ["sample", "chat"])
def test_an_unknown_guard_is_said_before_anything_is_loaded(command: str, own: Path, call: Call) -> None:
    done = call(command, "no-such-model", "--guard", "dogs", home=own)
    assert done.code == 2
    assert "there is no guard 'dogs'; there are cats, python, stories" in done.err


def test_guards_are_listed_with_those_that_cannot_be_used(own: Path, call: Call) -> None:
    (own / "guards" / "torn.toml").write_text("title = 5")
    done = call("guards", "list", home=own)
    assert done.code == 0
    assert "cats ␛[31m" in done.out
    assert "\x1b" not in done.out + done.err
    assert "built-in" in done.out
    assert "torn.toml: is no guard" in done.err
    listed = {guard["name"]: guard for guard in call("guards", "list", "--json").json}
    assert set(listed) == {"cats", "python", "stories", "torn"}
    assert listed["torn"]["problem"]
    assert call("guards").code == 0


def test_a_guard_can_be_tried_without_a_model(own: Path, call: Call) -> None:
    done = call("guards", "try", "cats", "The cat", home=own)
    assert done.out.splitlines()[0] == 'accepted: names a cat ("cat")'
    assert "+1.0  in all; accepted from 1 on" in done.out
    declined = call("guards", "try", "cats", "The dog")
    assert declined.code == 0
    assert "Only cats␛[2J." in declined.out
    tried = call("guards", "try", "cats", "The cat", "--json").json
    assert tried["accepted"]
    assert tried["findings"] == [{"says": "names a cat", "found": ["cat"], "score": 1.0}]
    assert call("guards", "try", "dogs", "x").code == 2


def test_the_shell_completes_the_names_of_guards(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from tui_gpt.cli.completion import guard_names

    monkeypatch.setenv("TUI_GPT_HOME", str(own))
    context = click.Context(click.Command("chat"))
    assert [item.value for item in guard_names(context, click.Option(["--guard"]), "")] == ["cats", "python", "stories"]
    assert [item.value for item in guard_names(context, click.Option(["--guard"]), "py")] == ["python"]
