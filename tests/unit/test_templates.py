"""Templates: filled as they are written, nothing executed, and whatever is wrong with a file is one sentence."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.guards import find_guard, judge
from tui_gpt.core.templates import Template, find_template, list_templates, template_names
from tui_gpt.core.templates.form import LONGEST_FILLED, read_form
from tui_gpt.core.templates.reading import LARGEST_FILE, load_template

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 5.0
"""Far above what reading a file takes, so that a busy machine does not matter."""
BUILT_IN = [
    "dialogue",
    "python-function",
    "qa",
    "qa-one-shot",
    "qa-zero-shot",
    "sentiment",
    "story",
    "translate",
]

SMALL = """
title = "opposites"
about = "For words."
text = "{examples}{word} and {{not}} {word}, {mood}:"
shot = "{word} and {{not}} {other}.\\n"

[blanks.word]
about = "a word"
example = "warm"

[blanks.mood]
about = "a mood"
default = "gladly"

[[examples]]
word = "hot"
other = "cold"

[[examples]]
word = "{word}"
other = "{{}}"

[sample]
stop = ["\\n", "."]
top_k = 5
"""


def small(folder: Path, text: str = SMALL, name: str = "small") -> Template:
    """The template of that text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return load_template(path, name)


# ---- filling


def test_examples_come_first_and_then_what_was_filled_in(tmp_path: Path) -> None:
    template = small(tmp_path)
    assert template.kind == "few-shot"
    assert list(template.blanks) == ["word", "mood"]
    assert template.open_blanks() == ["word"]
    filled = template.fill({"word": "big"})
    assert filled.text == "hot and {not} cold.\n{word} and {not} {{}}.\nbig and {not} big, gladly:"
    assert filled.values == {"word": "big", "mood": "gladly"}
    assert template.fill({"word": "big", "mood": ""}).text.endswith("big, :")
    assert template.example().text.endswith("warm and {not} warm, gladly:")
    assert template.preview({"mood": "sadly"}).text.endswith("‹word› and {not} ‹word›, sadly:")


@pytest.mark.parametrize("value", ["{word}", "{{", "}", "{0.__class__}", "%s $x", "\\n", "{examples}", "a\nb"])
def test_what_is_filled_in_is_not_read_again(tmp_path: Path, value: str) -> None:
    assert small(tmp_path).fill({"word": value, "mood": "so"}).text.endswith(f"{value} and {{not}} {value}, so:")


def test_what_cannot_be_filled_is_a_sentence(tmp_path: Path) -> None:
    template = small(tmp_path)
    with pytest.raises(ConfigError, match=r"^template small: has nothing in its blank word \(a word\)$"):
        template.fill({"word": " \n"})
    with pytest.raises(ConfigError, match=r"^template small: has no blank 'wrod'; its blanks are word, mood$"):
        template.fill({"wrod": "x"})
    with pytest.raises(ConfigError, match=r"^template small: becomes 1,000,0\d\d characters long, and 1,000,000"):
        template.fill({"word": "x" * (LONGEST_FILLED // 2)})


def test_what_the_screen_shows_of_a_filled_text_is_read_back(tmp_path: Path) -> None:
    template = small(tmp_path, SMALL.replace("{{not}}", "\\u001b[31m"))
    values = {"word": "big", "mood": "so so"}
    shown = template.fill(values).text.replace("\x1b", "␛")
    assert template.read_back(shown) == values
    assert template.read_back(shown.replace("big,", "large,")) is None
    assert template.read_back("hot") is None
    assert template.said_in(shown.replace("big,", "large,")) == "big\nlarge\nso so"
    assert template.said_in("hot and cold") == "hot and cold"


@given(st.text(), st.text())
def test_any_text_is_filled_as_it_is_and_read_back_as_long(one: str, other: str) -> None:
    form = read_form("a{x}b{y}", "text")
    text = form.fill({"x": one, "y": other})
    assert text == f"a{one}b{other}"
    assert form.between(text) == ([one, other] if "b" not in one else text[1:].split("b", 1))


@given(st.text(alphabet="{}ab1_! \n", max_size=30))
def test_any_text_is_a_form_or_a_sentence_with_its_line(text: str) -> None:
    try:
        form = read_form(text, "text")
    except ConfigError as error:
        assert re.match(r"text: line \d+: ", str(error))
        assert "\n" not in str(error)
    else:
        # As Python itself reads it, which knows more kinds of blanks.
        assert form.fill(dict.fromkeys(form.names, "?")) == text.format_map(dict.fromkeys(form.names, "?"))


def test_a_guard_is_asked_about_what_was_filled_in_and_not_about_the_template() -> None:
    template, guard = find_template("python-function"), find_guard("python")
    soup = template.fill({"docstring": "What is the capital of France?"})
    assert soup.said == template.said_in(soup.text) == "What is the capital of France?"
    assert not judge(guard, soup.said).accepted
    assert judge(guard, soup.text).accepted
    named = template.fill({"docstring": "Return the words of a string.", "name": "split_words"})
    assert named.said == "split_words\nReturn the words of a string."
    assert judge(guard, named.said).accepted
    # The examples of other subjects say nothing about the question.
    question = find_template("qa").fill({"question": "How do I sort a list in Python?"})
    assert judge(guard, question.said).accepted
    assert judge(find_guard("stories"), find_template("story").example().said).accepted


def test_where_only_defaults_stand_a_guard_is_asked_about_them(tmp_path: Path) -> None:
    template = small(tmp_path, SMALL.replace('example = "warm"', 'default = "warm"'))
    assert template.fill({}).said == "warm\ngladly"
    assert template.fill({"mood": "sadly"}).said == "sadly"


# ---- settings


def test_the_settings_of_a_template_go_over_those_there_are(tmp_path: Path) -> None:
    template = small(tmp_path)
    applied = template.applied(SampleConfig(top_k=1, temperature=0.1, seed=4))
    assert applied == SampleConfig(top_k=5, temperature=0.1, seed=4, stop=("\n", "."))
    assert template.settings_in_words() == 'stop = ["\\n", "."], top_k = 5'
    assert small(tmp_path, SMALL.partition("[sample]")[0]).applied(SampleConfig()) == SampleConfig()


# ---- files

EXAMPLES = SMALL.index("[[examples]]")
NO_EXAMPLES = SMALL[:EXAMPLES] + SMALL[SMALL.index("[sample]") :]
ZERO_SHOT = NO_EXAMPLES.replace("{examples}", "").replace("shot =", "#")
WRONG: dict[str, tuple[str, str]] = {
    "not TOML": ("title = ", "is not valid TOML"),
    "no title": (SMALL.replace("title =", "# "), "title: is missing; give text of 1 to 120 characters"),
    "an empty title": (SMALL.replace('"opposites"', '""'), "title: has 0 characters, and must be text of 1 to 120"),
    "a title of another kind": (SMALL.replace('"opposites"', "5"), "title: is a number, and must be text"),
    "a title that is a date": (SMALL.replace('"opposites"', "2026-01-01"), "title: is a date, and must be text"),
    "a long text": (SMALL.replace("{{not}}", "x" * 20_000), "text: has 20,0"),
    "an unknown field": ('Title = "x"' + SMALL, "Title: is no field of a template; did you mean title?"),
    "another unknown field": ("regex = 1" + SMALL, "regex: is no field of a template; known here: title, about, text"),
    "an unknown field of a blank": (SMALL.replace("example =", "examples ="), "blanks.word.examples: is no field of a"),
    "a format": (SMALL.replace("{word} and", "\\n{word!r} and"), "line 2: {word!r} is no blank"),
    "an attribute": (SMALL.replace("{word} and", "{word.x} and"), "{word.x} is no blank, which is a name of small"),
    "no name": (SMALL.replace("{word} and", "{} and"), "{} is no blank"),
    "a capital": (SMALL.replace("{word} and", "{Word} and"), "{Word} is no blank"),
    "a long name": (SMALL.replace("{word} and", "{" + "w" * 99 + "} and"), "{wwwwwwwwwwwwwwwwwwwwwwwwww... is no"),
    "an open brace": (SMALL.replace("{mood}:", "{mood:"), "text: line 1: a single { belongs to no blank; write {{"),
    "a closing brace": (SMALL.replace("{mood}:", "mood}:"), "a single } belongs to no blank; write {{ and }} for"),
    "no blank": (ZERO_SHOT.replace("{word}", "w").replace("{mood}", "m"), "text: has no blank"),
    "an unexplained blank": (SMALL.replace("{mood}", "{tone}"), "blanks.tone: is missing; say what belongs there"),
    "a blank that is nowhere": (SMALL.replace("{mood}", ""), "blanks.mood: does not occur; write {mood} into the text"),
    "a blank of a reserved name": (SMALL.replace("blanks.mood", "blanks.examples"), "blanks."),
    "a blank of no name": (SMALL + "[blanks.'a b']\nabout = 'x'", "blanks.a b: is no name of small letters"),
    "a blank that is text": (SMALL.replace("[blanks.mood]", "[blanks]\nmood = 'x'\n[x]"), "is no"),
    "blanks that are a list": (ZERO_SHOT.partition("[blanks")[0] + "blanks = [1]", "blanks: is a list, and must be"),
    "an unexplained word": (SMALL.replace('about = "a word"', ""), "blanks.word.about: is missing; give text of 1 to"),
    "many blanks": (
        SMALL.replace("{mood}:", "".join(f"{{b{number}}}" for number in range(20))),
        "text: has 21 blanks, and 16 are the most",
    ),
    "no place for the examples": (SMALL.replace("{examples}", ""), "text: does not say where the examples come"),
    "two places for the examples": (SMALL.replace(", {mood}", "{examples}"), "has {examples} 2 times; once is enough"),
    "no shot": (SMALL.replace("shot =", "#"), "shot: is missing; it is the text of one example"),
    "a shot without a blank": (
        SMALL.replace('.\\n"', '"').replace("{other}", "o").replace("{word} and {{not}} o", "x"),
        "shot: has no blank; name the fields of the examples in braces, e.g. {word}",
    ),
    "no examples": (NO_EXAMPLES, "shot: has no examples to fill it; add [[examples]] or leave it out"),
    "no examples and no shot": (NO_EXAMPLES.replace("shot =", "#"), "text: has {examples}, and there are none"),
    "examples that are text": (NO_EXAMPLES.replace("shot =", "examples = 'x'\nshot ="), "examples: must be tables"),
    "an example without a field": (
        SMALL.replace('other = "cold"', ""),
        "examples[0].other: is missing; give text of up",
    ),
    "an example with one more": (
        SMALL.replace("[sample]", "more = ''\n[sample]"),
        "examples[1].more: does not occur in",
    ),
    "an example of another kind": (
        SMALL.replace('"cold"', "true"),
        "examples[0].other: is yes or no, and must be text",
    ),
    "many examples": (
        SMALL.replace("[sample]", "[[examples]]\nword=''\nother=''\n" * 70 + "[sample]"),
        "are 72, and 64",
    ),
    "examples that grow": (
        SMALL.replace('shot = "', 'shot = "' + "{word}" * 3000).replace('"hot"', '"' + "h" * 4000 + '"'),
        "examples[0]: becomes 12,0",
    ),
    "examples that grow together": (
        SMALL.replace('shot = "', 'shot = "' + "{word}" * 200).replace('"hot"', '"' + "h" * 4000 + '"')
        + '[[examples]]\nword = "'
        + "h" * 4000
        + '"\nother = ""\n',
        "examples: become more than 1,000,000 characters together",
    ),
    "an unknown setting": (
        SMALL + "tempratur = 1",
        "sample.tempratur: is not a field of the configuration; did you mean",
    ),
    "a setting out of bounds": (SMALL + "temperature = -1", "sample.temperature: expected a number of at least 0"),
    "a setting that is no number": (
        SMALL + "temperature = nan",
        "sample.temperature: expected a number of at least 0, not nan",
    ),
    "a setting of another kind": (SMALL.replace('["\\n", "."]', '"x"'), "sample.stop: expected a list but got text"),
    "a seed": (SMALL + "seed = 1", "sample.seed: is for the person to say who uses the template; leave it out"),
    "settings that are a list": (
        SMALL.partition("[sample]")[0].replace("title", "sample = []\ntitle"),
        "sample: is a list",
    ),
    "deep": ("a = " + "[" * 100_000, "is not valid TOML: it is nested too deeply"),
    "deep tables": (SMALL + ".".join("a" * 5000) + " = 1", "tables and lists lie too deep within each other"),
    "a long number": ("a = " + "9" * 10_000, "a number that is too long"),
    "huge": (SMALL + "#" * LARGEST_FILE, "cannot be read: Larger than 262,144 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_broken_file_is_one_sentence_with_file_and_field(name: str, tmp_path: Path) -> None:
    text, wanted = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        small(tmp_path, text)
    sentence = str(caught.value)
    assert sentence.startswith(str(tmp_path / "small.toml") + ": ")
    assert wanted in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400 + len(str(tmp_path))


def test_a_file_that_is_none_or_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b'title = "\xff\xfe"')
    (tmp_path / "folder.toml").mkdir()
    for name, words in (("bytes", "is not UTF-8 text"), ("folder", "cannot be read"), ("none", "cannot be read")):
        with pytest.raises(ConfigError, match=words):
            load_template(tmp_path / f"{name}.toml", name)


def test_a_file_made_to_be_slow_is_not(tmp_path: Path) -> None:
    slow = SMALL.replace("{{not}}", "{{" * 2000 + "{word}" * 500).replace("{other}", "{other}" * 1000)
    began = time.perf_counter()
    template = small(tmp_path, slow)
    with pytest.raises(ConfigError, match="characters long"):
        template.fill({"word": "x" * 1_000_000})
    template.said_in("{" * 1_000_000)
    assert time.perf_counter() - began < SECONDS


# ---- where they come from


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_template_says_what_it_is_for_and_has_one_open_blank_with_an_example(name: str) -> None:
    template = find_template(name)
    assert template.title
    assert template.about
    [blank] = template.open_blanks()
    example = template.example()
    assert template.blanks[blank].example
    assert template.fill({blank: template.blanks[blank].example}) == example
    assert "‹" not in example.text
    # Where a prompt ends in a space, most tokenizers leave the model no good next token.
    assert not example.text.endswith(" ")
    assert not any(stop in example.text[-3:] for stop in template.sample.get("stop", ()) if stop != "\n")
    assert template.read_back(example.text) == example.values
    shots = {"qa": "few-shot", "qa-one-shot": "one-shot", "translate": "few-shot", "sentiment": "few-shot"}
    assert template.kind == shots.get(name, "zero-shot")


def test_a_file_in_the_home_folder_is_a_template_and_goes_before_a_built_in_one(home: Path) -> None:
    assert template_names() == BUILT_IN
    folder = home / "templates"
    small(folder)
    small(folder, name="qa")
    (folder / "torn.toml").write_text("title =")
    (folder / "an odd name\x1b.toml").write_text(SMALL, encoding="utf-8")
    assert template_names() == sorted([*BUILT_IN, "small", "torn"])
    assert find_template("qa").title == "opposites"
    found = {template.name: template for template in list_templates()}
    assert (found["translate"].origin, found["translate"].kind) == ("built-in", "few-shot")
    assert found["qa"].origin == str(folder / "qa.toml")
    assert found["small"].blanks == ["word", "mood"]
    assert "is not valid TOML" in found["torn"].problem
    assert not any(template.problem for name, template in found.items() if name != "torn")
    with pytest.raises(ConfigError, match=r"there is no template 'nope'; there are dialogue, .*docs/templates\.md"):
        find_template("nope")
    for name in ("../qa", "", "a" * 100, "\x1b"):
        with pytest.raises(ConfigError, match="is no name of a template"):
            find_template(name)
    (folder / "qa.toml").unlink()
    (folder / "qa.toml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_template("qa")


def test_the_page_about_templates_describes_those_there_are_and_its_example_is_one(home: Path) -> None:
    page = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
    for name in BUILT_IN:
        template = find_template(name)
        [row] = [row for row in page.splitlines() if row.startswith("| `") and f"`{name}`" in row.split("|")[1]]
        assert template.kind in row
        assert {blank for blank in template.blanks if f"`{blank}`" in row} == set(template.blanks)
    [text] = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    template = small(home / "templates", text, "opposite")
    assert find_template("opposite").kind == "few-shot"
    assert template.fill({"word": "Big"}).text == (
        "Tall is the opposite of short.\nEarly is the opposite of late.\nBig is the opposite of"
    )
    assert template.sample == {"stop": (".", "\n"), "max_new_tokens": 5, "temperature": 0.0}
