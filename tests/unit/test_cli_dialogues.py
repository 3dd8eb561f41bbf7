"""Conversations through the real command: a model learns to answer, and does, in one line, in a talk and in numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Call, Trained, environment
from dialogue_sets import ANSWERS, SYSTEM, talk, training, write_talks


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model that has learned a few answers by heart."""
    folder = tmp_path_factory.mktemp("fox")
    text = write_talks(folder / "talks.jsonl")
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt", *training(text, "fox", "--json")],
        env=environment(folder / "home"),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Trained(folder / "home", text, json.loads(done.stdout), done.stderr)


def test_what_is_learned_is_told_before_and_after(fox: Trained, call: Call) -> None:
    assert "| Who are you?\n  | A small fox." in fox.narration
    facts = call("corpora", "show", fox.text, "--tokenizer", "char", home=fox.home)
    assert facts.code == 0, facts.err
    n_tokens = 320 * sum(len(answer) + 1 for answer in ANSWERS.values())
    assert f"1,280, of {n_tokens:,} tokens: what is learned\n" in facts.out
    assert "<|user|>|W|h|o| |a|r|e| |y|o|u|?|<|end|>|<|assistant|>|A|" in facts.out
    told = call("corpora", "show", fox.text, "--json").json
    assert (told["documents"], told["answers"], told["answer_tokens"]) == (800, 1280, n_tokens)
    as_text = call("corpora", "show", fox.text, "--form", "text", "--column", "messages")
    assert as_text.code != 0 and "holds a list in messages, and text is needed" in as_text.err


@pytest.mark.parametrize("question", ANSWERS)
def test_a_sample_is_the_answer_and_stops_by_itself(fox: Trained, call: Call, question: str) -> None:
    done = call("sample", "fox", "--prompt", question, "--json", home=fox.home)
    assert done.json["text"] == ANSWERS[question]
    assert (done.json["reason"], done.json["tokens"]) == ("eot", len(ANSWERS[question]) + 1)
    shown = call("sample", "fox", "--prompt", question, "--system", SYSTEM)
    assert shown.out == f"{question}\n{ANSWERS[question]}"
    assert call("sample", "fox", "--prompt", question, "--no-prompt").out == ANSWERS[question]


def test_questions_are_answered_however_they_are_given(fox: Trained, call: Call, tmp_path: Path) -> None:
    asked = "Who are you?"
    file = tmp_path / "question.txt"
    file.write_text(f"\r\n  {asked}\r\n\r\n", encoding="utf-8", newline="")
    for given, stdin in ((("--prompt-file", file), b""), (("--prompt", "-"), f"{asked}\n".encode())):
        done = call("sample", "fox", *given, "--no-prompt", stdin=stdin, home=fox.home)
        assert done.out == ANSWERS[asked], done.err


def test_what_cannot_be_asked_is_refused(fox: Trained, trained: Trained, call: Call) -> None:
    nothing = call("sample", "fox", "--prompt", " \n", home=fox.home)
    assert nothing.code == 2 and "nothing is asked; give a --prompt, or --continue" in nothing.err
    for command in (("sample", "fox", "--prompt", "a"), ("chat", "fox")):
        both = call(*command, "--system", SYSTEM, "--continue")
        assert both.code == 2 and "--system is for answers, and --continue asks for none" in both.err
    foreign = call("sample", "fox", "--prompt", "漢?")
    assert foreign.code != 0 and "is not among the 31 characters" in foreign.err
    system = call("chat", "fox", "--system", "漢", stdin=b"Who are you?\n")
    assert (system.code, system.out) == (foreign.code, "") and system.err.count("is not among the 31") == 1
    for command in (("sample", "toy", "--prompt", "a"), ("chat", "toy")):
        base = call(*command, "--system", SYSTEM, home=trained.home)
        assert base.code != 0
        assert "has learned from texts and not from conversations, so it continues" in base.err
        assert len(base.err.strip().splitlines()) == 1


def test_asked_to_it_continues(fox: Trained, call: Call) -> None:
    done = call("sample", "fox", "--prompt", "Who are you", "--continue", "--max-new-tokens", "5", home=fox.home)
    assert done.code == 0 and done.out.startswith("Who are you")
    talked = call("chat", "fox", "--continue", "--max-new-tokens", "3", stdin=b"Wh\n\n")
    assert talked.code == 0 and "type a text for it to continue" in talked.err


def test_a_talk_goes_in_turns(fox: Trained, call: Call) -> None:
    lines = ["Who are you?", "What do you eat?", "/undo", "Are you well?", "/retry", "", "/reset", "Who are you?"]
    done = call("chat", "fox", "--system", SYSTEM, stdin="\n".join(lines).encode(), home=fox.home)
    assert done.code == 0, done.err
    well = ANSWERS["Are you well?"]
    assert done.out.splitlines() == [
        ANSWERS["Who are you?"],
        ANSWERS["What do you eat?"],
        well,
        well,
        ANSWERS["Who are you?"],
    ]
    assert "ask it something" in done.err
    assert done.err.count("error: an empty line asks nothing") == 1
    assert "no longer fit" not in done.err


def test_a_long_talk_forgets_its_oldest_messages_and_says_so(fox: Trained, call: Call) -> None:
    lines = list(ANSWERS) * 5
    done = call("chat", "fox", "--system", SYSTEM, stdin="\n".join(lines).encode(), home=fox.home)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [ANSWERS[line] for line in lines]
    forgotten = [int(line.split()[0][1:]) for line in done.err.splitlines() if "no longer fit" in line]
    assert forgotten == sorted(forgotten) and forgotten[-1] >= 30
    assert all(number % 2 == 0 for number in forgotten), "questions go with their answers"


def test_what_a_guard_declines_is_no_turn(fox: Trained, call: Call) -> None:
    lines = ["Who are you?", "Where do you live?", "/guard none", "Where do you live?"]
    done = call("chat", "fox", "--guard", "python", stdin="\n".join(lines).encode(), home=fox.home)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == ANSWERS["Where do you live?"]


def test_the_evaluation_is_the_trainers(fox: Trained, trained: Trained, call: Call) -> None:
    report = call("eval", "fox", "--json", home=fox.home).json
    assert report["loss"] == pytest.approx(report["trainer_loss"], abs=1e-6)
    assert report["loss"] == pytest.approx(fox.summary["val_loss"], abs=1e-6)
    assert report["tokens"] == sum(len(ANSWERS[m["content"]]) + 1 for m in questions_at_the_end(fox.text))
    assert report["bytes"] == pytest.approx(sum(len(ANSWERS[m["content"]]) for m in questions_at_the_end(fox.text)))
    other = call("eval", "toy", "--corpus", "conversations", home=trained.home)
    assert other.code != 0 and "has learned from texts and not from conversations" in other.err


def questions_at_the_end(path: Path) -> list[dict[str, str]]:
    """Of the tenth that is kept for measuring."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [m for row in rows[-len(rows) // 10 :] for m in row["messages"] if m["role"] == "user"]


def test_the_card_shows_how_to_ask(fox: Trained) -> None:
    card = (fox.home / "models" / "fox" / "README.md").read_text("utf-8")
    assert 'messages = [{"role": "user", "content": "Who are you?"}]' in card
    assert "tui-gpt sample fox --prompt 'Who are you?'\n" in card
    assert "A question and its answer" in card and "Who are you?\nA small fox." in card


def test_a_model_that_answers_answers_wherever_it_goes(
    fox: Trained, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    folder = fox.home / "models" / "fox"
    assert call("models", "import", folder, "--as", "in", home=home).code == 0
    assert call("models", "fork", "in", "copy").code == 0
    assert call("models", "rename", "copy", "moved").code == 0
    for name in ("in", "moved"):
        assert call("models", "verify", name).code == 0
        done = call("sample", name, "--prompt", "Who are you?", "--no-prompt", "--temperature", "0")
        assert done.out == ANSWERS["Who are you?"], done.err


def test_a_template_in_a_file_of_its_own_is_read_and_kept(fox: Trained, call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for file in (fox.home / "models" / "fox").iterdir():
        if file.name not in ("tui_gpt.json", "README.md"):
            (folder / file.name).write_bytes(file.read_bytes())
    configuration = json.loads((folder / "tokenizer_config.json").read_bytes())
    (folder / "chat_template.jinja").write_text(configuration.pop("chat_template"), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    assert call("models", "import", folder, "--as", "in", home=tmp_path / "home").code == 0
    asked = ("--prompt", "Who are you?", "--no-prompt", "--temperature", "0")
    assert call("sample", "in", *asked).out == ANSWERS["Who are you?"]
    assert call("sample", folder, *asked).out == ANSWERS["Who are you?"]


def test_sets_without_enough_to_learn_are_refused_at_once(call: Call, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps(talk("Who are you?")), encoding="utf-8")
    done = call(*training(one, "one"), home=tmp_path / "home")
    assert done.code != 0 and "one.jsonl has one conversation with an answer" in done.err
    long = tmp_path / "long.jsonl"
    row = {"messages": [{"role": "user", "content": "a" * 200}, {"role": "assistant", "content": "b"}]}
    long.write_text((json.dumps(row) + "\n") * 3, encoding="utf-8")
    done = call(*training(long, "long"))
    assert done.code != 0 and "has no answer that begins within 96 tokens of its question; set" in done.err
    assert not list((tmp_path / "home").glob("runs/*"))


def test_what_it_reads_first_can_be_said_in_the_talk(fox: Trained, trained: Trained, call: Call) -> None:
    said = f"/system {SYSTEM}\nWho are you?\n/system\nWho are you?\n"
    done = call("chat", "fox", stdin=said.encode(), home=fox.home)
    assert done.code == 0 and "error" not in done.err
    assert done.out == 2 * f"{ANSWERS['Who are you?']}\n"
    refused = call("chat", "stories", stdin=b"/system Be kind.\n", home=trained.home)
    assert "continues texts and reads no instructions" in refused.err


def test_a_table_is_no_text_to_measure_by(fox: Trained, call: Call) -> None:
    done = call("eval", "fox", fox.text, home=fox.home)
    assert done.code != 0 and "is read as plain text here, and is JSON Lines" in done.err
