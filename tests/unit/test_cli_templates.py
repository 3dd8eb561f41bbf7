"""`--template`, `--fill` and `templates`: what is asked becomes a prompt, and what a person says goes over the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from commands import Call, Trained

PETS = """
title = "pets \\u001b[31m"
about = "For the toy."
text = "{examples}The {animal} {verb} on the"
shot = "A {animal} ran.\\n"

[blanks.animal]
about = "who"
example = "cat"

[blanks.verb]
about = "did what"
default = "sat"

[[examples]]
animal = "dog"

[sample]
temperature = 0.0
max_new_tokens = 9
stop = ["."]
"""
TWO = PETS.replace('default = "sat"', "")
NONE = PETS.replace('example = "cat"', 'default = "cat"')
FILLED = "A dog ran.\nThe hen sat on the"

CATS = """
title = "cats"
refusal = "Only cats."
threshold = 1.0
[[rules]]
says = "names a cat"
weight = 1.0
words = ["cat"]
[[rules]]
says = "names a dog"
weight = -5.0
words = ["dog", "sat"]
"""


@pytest.fixture
def own(trained: Trained, tmp_path: Path) -> Path:
    """A home with the trained model, templates and a guard of one's own."""
    home = tmp_path / "home"
    (home / "guards").mkdir(parents=True)
    (home / "templates").mkdir()
    (home / "models").symlink_to(trained.home / "models")
    (home / "guards" / "cats.toml").write_text(CATS, encoding="utf-8")
    for name, text in (("pets", PETS), ("two", TWO), ("none", NONE)):
        (home / "templates" / f"{name}.toml").write_text(text, encoding="utf-8")
    return home


def test_a_filled_template_is_the_prompt_and_its_settings_hold(own: Path, call: Call) -> None:
    done = call("sample", "toy", "--template", "pets", "--fill", "animal=hen", home=own)
    assert done.code == 0, done.err
    same = ("--temperature", "0", "--max-new-tokens", "9", "--stop", ".")
    assert done.out == call("sample", "toy", "--prompt", FILLED, *same).out
    for prompt in (("--prompt", "hen"), ("--prompt", "-"), ("--prompt-file", "-")):
        assert call("sample", "toy", "--template", "pets", *prompt, stdin=b"hen\n").out == done.out
    more = call("sample", "toy", "--template", "pets", "--fill", "animal=hen", "--fill", "verb=ran", "--no-prompt")
    assert more.out == call("sample", "toy", "--prompt", FILLED.replace("sat", "ran"), "--no-prompt", *same).out


def test_what_is_said_on_the_command_line_goes_over_the_template(own: Path, call: Call) -> None:
    options = ("--template", "pets", "--prompt", "hen", "--json")
    sample = call("sample", "toy", *options, home=own).json
    assert (sample["template"], sample["prompt"]) == ("pets", FILLED)
    assert sample["tokens"] <= 9
    other = call("sample", "toy", *options, "--max-new-tokens", "12", "--stop", "qq").json
    assert (other["tokens"], other["reason"]) == (12, "length")
    assert other["text"].startswith(sample["text"])
    assert "template" not in call("sample", "toy", "--prompt", "A", "--max-new-tokens", "1", "--json").json


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--template", "pets"), 'has nothing in its blank animal (who); give --fill animal="..."'),
        (("--template", "pets", "--fill", "animal= "), "has nothing in its blank animal (who)"),
        (
            ("--template", "two"),
            'has nothing in its blanks animal (who) and verb (did what); give --fill animal="..." --fill verb="..."',
        ),
        (
            ("--template", "two", "--prompt", "hen"),
            "template two: has 2 open blanks (animal, verb), and a prompt fills one; fill the others by --fill",
        ),
        (("--template", "pets", "--prompt", "hen", "--fill", "animal=hen"), "has no open blank left for a prompt"),
        (("--template", "none", "--prompt", "hen"), "has no open blank for a prompt; fill those it has (animal, verb)"),
        (("--template", "pets", "--fill", "anmal=hen"), "has no blank 'anmal'; its blanks are animal, verb"),
        (("--template", "pets", "--fill", "hen"), "--fill: 'hen' is not of the form BLANK=TEXT, e.g. animal="),
        (("--template", "pests"), "there is no template 'pests'; there are dialogue, none, pets, "),
        (("--template", "torn"), "torn.toml: is not valid TOML"),
        (("--fill", "animal=hen"), "--fill fills a blank of a template; give --template NAME too"),
    ],
)
def test_what_cannot_be_filled_is_one_sentence_before_a_model_is_looked_for(
    options: tuple[str, ...], sentence: str, own: Path, call: Call
) -> None:
    (own / "templates" / "torn.toml").write_text("title =")
    done = call("sample", "no-such-model", *options, home=own)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == (2 if "see `" in done.err else 1)


def test_what_is_no_text_is_a_sentence(own: Path, call: Call) -> None:
    done = call("sample", "toy", "--template", "pets", "--fill", "animal=\udcff", home=own)
    assert done.code == 3
    assert "the text for animal is not valid UTF-8" in done.err


def test_a_guard_judges_what_was_filled_in_and_not_the_template(own: Path, call: Call) -> None:
    options = ("--template", "pets", "--guard", "cats", "--json")
    accepted = call("sample", "toy", *options, "--fill", "animal=cat", home=own)
    assert accepted.json["guard"]["reason"] == 'names a cat ("cat")'
    declined = call("sample", "no-such-model", *options, "--fill", "animal=hen").json
    assert (declined["reason"], declined["text"], declined["template"]) == ("declined", "Only cats.", "pets")
    assert declined["prompt"] == FILLED
    said = b"cat\nhen\n/retry\n"
    done = call("chat", "toy", "--template", "pets", "--guard", "cats", stdin=said)
    assert [line.split(" ")[0] for line in done.err.splitlines() if " by cats" in line] == ["accepted"] + 2 * [
        "declined"
    ]


def test_each_line_of_a_conversation_fills_the_template_afresh(own: Path, call: Call) -> None:
    options = ("--temperature", "1", "--seed")
    done = call("chat", "toy", "--template", "pets", *options, "1", stdin=b"cat\nhen\n/retry\n\n", home=own)
    assert done.code == 0, done.err
    assert 'template pets: each line fills animal; max_new_tokens = 9, stop = ["."]\n' in done.err

    def written(seed: int, *asked: str) -> str:
        return call("sample", "toy", *asked, "--no-prompt", *options, str(seed)).out

    # Each line by itself, whatever was said before it; an empty one goes on from the last reply.
    asked = enumerate(("cat", "hen", "hen"), start=1)
    cat, hen, again = (written(seed, "--template", "pets", "--prompt", animal) for seed, animal in asked)
    goes_on = written(4, "--prompt", FILLED + again, "--max-new-tokens", "9", "--stop", ".")
    assert len({cat, hen, again, goes_on}) == 4
    assert done.out == "".join(reply if reply.endswith("\n") else f"{reply}\n" for reply in (cat, hen, again, goes_on))


def test_a_filled_template_is_read_alone_also_where_one_before_it_was_declined_or_taken_back(
    own: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_gpt.engine.generation.stream import Generator, Stream

    read: list[str] = []
    stream = Generator.stream

    def noted(self: Generator, prompt: str, *more: Any) -> Stream:
        read.append(prompt)
        return stream(self, prompt, *more)

    monkeypatch.setattr(Generator, "stream", noted)
    said = b"cat\n\nhen\n\ncat\n/undo\n\n/template none\nA cat\n"
    options = ("--template", "pets", "--guard", "cats", "--stop", "qq", "--max-new-tokens", "2", "--temperature", "0")
    done = call("chat", "toy", *options, stdin=said, home=own)
    assert done.code == 0, done.err
    cat = FILLED.replace("hen", "cat")
    first, second, third, fourth, fifth, last = read
    assert first == fourth == cat
    assert [len(text) - len(cat) for text in (second, third, fifth)] == [2, 4, 6]
    assert all(text.startswith(cat) for text in (second, third, fifth))
    assert last.startswith(fifth)
    assert last.endswith("\nA cat")


def test_other_blanks_are_given_at_the_start_and_settings_said_go_over_the_template(own: Path, call: Call) -> None:
    options = ("--template", "two", "--fill", "verb=ran", "--max-new-tokens", "3")
    done = call("chat", "toy", *options, stdin=b"hen\n/set\n/set stop=\n/set\n", home=own)
    assert done.code == 0, done.err
    wanted = ("--prompt", FILLED.replace("sat", "ran"), "--no-prompt", "--temperature", "0", "--max-new-tokens", "3")
    assert done.out.rstrip("\n") == call("sample", "toy", *wanted).out.rstrip("\n")
    assert 'each line fills animal; temperature = 0.0, stop = ["."]' in done.err
    assert "max_new_tokens = 3\n" in done.err
    assert "stop = ('.',)" in done.err
    assert "stop = ()" in done.err


def test_the_template_can_be_changed_while_talking(own: Path, call: Call) -> None:
    said = b"/template\n/template pets\n/template\nhen\n/template two\n/template nope\n/set\n/template none\n/set\n"
    done = call("chat", "toy", stdin=said, home=own)
    assert done.code == 0
    lines = done.err.splitlines()
    assert [line.partition(";")[0] for line in lines if line.startswith("template = ")] == [
        "template = none",
        "template = pets",
    ]
    assert "has 2 open blanks (animal, verb), and a line fills one; fill the others by --fill" in done.err
    assert "there is no template 'nope'" in done.err
    assert [line for line in lines if line.startswith("temperature = ")] == ["temperature = 0.0", "temperature = 0.8"]
    started = call("chat", "no-such-model", "--template", "two")
    assert started.code == 2
    assert "has 2 open blanks" in started.err


def test_templates_are_listed_with_those_that_cannot_be_used(own: Path, call: Call) -> None:
    (own / "templates" / "torn.toml").write_text("title = 5")
    done = call("templates", "list", home=own)
    assert done.code == 0
    assert "pets ␛[31m" in done.out
    assert "\x1b" not in done.out + done.err
    assert "built-in" in done.out
    assert "few-shot" in done.out
    assert "torn.toml: is no template: title: is a number, and must be text" in done.err
    listed = {template["name"]: template for template in call("templates", "list", "--json").json}
    assert listed["pets"]["blanks"] == ["animal", "verb"]
    assert listed["torn"]["problem"]
    assert listed["qa"]["origin"] == "built-in"
    assert call("templates").code == 0


def test_a_template_is_shown_with_its_blanks_and_filled_with_its_example(own: Path, call: Call) -> None:
    done = call("templates", "show", "pets", home=own)
    assert done.code == 0
    assert done.out.endswith("\nA dog ran.\nThe cat sat on the\n")
    for part in ("pets: pets ␛[31m", "who (e.g. cat)", "did what [default: sat]", "one-shot", 'stop = ["."]'):
        assert part in done.out
    shown = call("templates", "show", "pets", "--json").json
    assert shown["filled"] == "A dog ran.\nThe cat sat on the"
    assert shown["blanks"]["verb"] == {"about": "did what", "default": "sat", "example": ""}
    assert shown["sample"] == {"temperature": 0.0, "max_new_tokens": 9, "stop": ["."]}
    assert shown["origin"].endswith("pets.toml")
    assert call("templates", "show", "pests").code == 2


def test_the_shell_completes_names_and_the_blanks_of_the_template_named(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_gpt.cli.completion import fills, template_names

    monkeypatch.setenv("TUI_GPT_HOME", str(own))
    context = click.Context(click.Command("sample"))
    option = click.Option(["--fill"])
    assert [item.value for item in template_names(context, option, "q")] == ["qa", "qa-one-shot", "qa-zero-shot"]
    assert fills(context, option, "") == []
    context.params["template"] = "pets"
    assert [item.value for item in fills(context, option, "")] == ["animal=", "verb="]


def test_the_example_model_goes_on_with_a_built_in_template(call: Call, tmp_path: Path) -> None:
    options = ("--template", "story", "--fill", "hero=a small otter named Tilly", "--max-new-tokens", "4", "--json")
    sample = json.loads(call("sample", "stories", *options, home=tmp_path / "home").out)
    assert sample["prompt"].startswith("Once upon a time, there was a small otter named Tilly.")
    assert sample["tokens"] == 4
