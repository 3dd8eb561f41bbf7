"""Guards: right on the questions that no one tuned them on, quick whatever they are given, and easily made."""

from __future__ import annotations

import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.errors import ConfigError
from tui_gpt.core.guards import GuardError, Verdict, account, find_guard, finding, guard_names, judge, list_guards
from tui_gpt.core.guards.word_list import LARGEST_FILE, WordListGuard, load_word_list

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 2.0
"""Far above what a verdict takes, so that a busy machine does not matter."""

SMALL = """
title = "cats"
refusal = "Only cats."
otherwise = "no cat in it"
threshold = 1.0
groups = { sound = ["meows", "purrs"] }

[[rules]]
says = "names a cat"
weight = 1.0
most = 2
typos_from = 6
words = ["cat", "kitten", "Straße", "maine coon cat", "c++"]

[[rules]]
says = "does what cats do"
weight = 1.0
patterns = ["it ... <sound>", "scratch* the *", "< * >"]

[[rules]]
says = "names a cat by its name"
weight = 1.0
exact_case = true
words = ["Tom"]

[[rules]]
says = "speaks of dogs"
weight = -1.0
unless = ["names a cat by its name"]
words = ["dog", "copy cat"]
"""


@pytest.fixture(scope="module")
def python() -> WordListGuard:
    """The guard of the Python assistant."""
    guard = find_guard("python")
    assert isinstance(guard, WordListGuard)
    return guard


def cats(folder: Path, text: str = SMALL) -> WordListGuard:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cats.toml"
    path.write_text(text, encoding="utf-8")
    return load_word_list(path, "cats")


# ---- how often it is right


def test_it_is_right_on_the_published_questions_and_on_the_halves_it_was_not_tuned_on(python: WordListGuard) -> None:
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("the benchmarks are a part of the checkout, not of the source package")
    sys.path.insert(0, str(ROOT))
    from benchmarks.guard import LISTS, QUESTIONS, halves, read_questions, wrong

    published = read_questions(QUESTIONS / "published.tsv")
    assert len(published) == 16
    assert wrong(python, published) == []
    lists = [read_questions(QUESTIONS / f"{name}.tsv") for name in LISTS]
    questions = [question for some in lists for question in some]
    assert len(questions) >= 200
    assert len({question.text for question in questions}) == len(questions)
    assert 0.4 < sum(question.accepted for question in questions) / len(questions) < 0.6
    tuning, untouched = halves(questions)
    assert len(wrong(python, tuning)) <= 0.05 * len(tuning)
    assert len(wrong(python, untouched)) <= 0.06 * len(untouched)
    # The list that the halves were first made of, by itself.
    assert len(wrong(python, halves(lists[0])[1])) <= 0.05 * len(halves(lists[0])[1])


def test_the_example_lets_stories_begin_and_declines_the_rest() -> None:
    guard = find_guard("stories")
    for prompt in (
        "Once upon a time",
        "One day, Tom",
        "Tell me a bedtime story about a fox",
        "The fox ran and laughed.",
    ):
        assert guard.check(prompt).accepted, prompt
    for prompt in ("What is the capital of France?", "How do I sort a list in Python?", "", "def f(x):"):
        verdict = guard.check(prompt)
        assert not verdict.accepted, prompt
        assert verdict.refusal.startswith("I only tell stories")


# ---- word lists


@pytest.mark.parametrize(
    ("prompt", "score"),
    [
        ("A CAT, and a cat", 1),  # each once
        ("concatenate the category", 0),  # on word boundaries
        ("cat and kitten and c++", 2),  # no more than `most`
        ("my maine coon cat", 1),  # a part of a longer finding counts no more
        ("a copy cat", -1),
        ("STRASSE", 1),
        ("ｃａｔ", 1),  # full width
        ("a kiten, a kittten, a kitetn", 2),  # misspelt
        ("a cta", 0),  # too short for that
        ("it softly purrs", 1),
        ("it does not at all ever purr", 0),
        ("it one two three four meows", 0),  # the gap is too long
        ("scratching the door", 1),
        ("Tom", 1),
        ("tom", 0),
        ("Tom and the dog", 1),  # unless
        ("the dog", -1),
        ("<b>", 1),
    ],
)
def test_words_and_patterns_are_found_where_they_are_meant(prompt: str, score: float, tmp_path: Path) -> None:
    guard = cats(tmp_path)
    assert guard.score(guard.findings(prompt)) == score
    assert guard.check(prompt).accepted == (score >= 1)


def test_a_verdict_says_why(tmp_path: Path) -> None:
    guard = cats(tmp_path)
    assert guard.check("a cat").reason == 'names a cat ("cat")'
    assert guard.check("a dog").reason == 'speaks of dogs ("dog")'
    assert guard.check("a cow") == Verdict(accepted=False, reason="no cat in it", refusal="Only cats.")
    verdict = judge(guard, "a cow")
    assert verdict.guard == "cats"
    assert 0 < verdict.seconds < SECONDS
    assert account(verdict, 0, 0.004) == "declined by cats: no cat in it; 0 tokens in 0.00 s"


@given(st.text(max_size=400))
def test_any_text_gets_a_verdict(python: WordListGuard, prompt: str) -> None:
    verdict = judge(python, prompt)
    assert verdict.accepted == (not verdict.refusal)
    assert verdict.reason


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "python ",
        "a ",
        "<",
        "\u0301",
        "\ufdfa",
        "\ud800",
        "for x in ",
        "\x00",
        "list list_",
        "'a",
        "世",
        "\n",
        "sort a ",
    ],
)
def test_a_megabyte_takes_no_time(python: WordListGuard, part: str) -> None:
    prompt = part * (1_000_000 // len(part))
    began = time.perf_counter()
    judge(python, prompt)
    assert time.perf_counter() - began < SECONDS


def test_the_end_of_a_long_prompt_counts_too(python: WordListGuard) -> None:
    assert python.check("x" * 1_000_000 + " why does this python code fail?").accepted


HOSTILE = {
    "not TOML": "title = ",
    "not a guard": "title = 5",
    "unknown field": SMALL + 'regex = "(a+)+$"',
    "no rules": 'title = "a"\nrefusal = "b"\nthreshold = 1.0\nrules = []',
    "nothing to look for": SMALL + '\n[[rules]]\nsays = "nothing"\nweight = 1.0',
    "no weight": SMALL.replace("weight = -1.0", "weight = nan"),
    "an infinite threshold": SMALL.replace("threshold = 1.0", "threshold = inf"),
    "deep": "a = " + "[" * 100_000,
    "a long number": "a = " + "9" * 10_000,
    "a long pattern": SMALL.replace("it ... <sound>", "a b c d e f g h i j"),
    "a pattern that begins anywhere": SMALL.replace("it ... <sound>", "* cat"),
    "an unknown group": SMALL.replace("it ... <sound>", "it <smell>"),
    "an unknown rule": SMALL.replace('unless = ["', 'unless = ["never '),
    "no word": SMALL.replace('"kitten"', '" "'),
    "huge": SMALL + "#" * LARGEST_FILE,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        cats(tmp_path, HOSTILE[name])
    assert str(tmp_path / "cats.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_or_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.toml").mkdir()
    for name, words in (("bytes", "UTF-8"), ("folder", "cannot be read"), ("none", "cannot be read")):
        with pytest.raises(ConfigError, match=words):
            load_word_list(tmp_path / f"{name}.toml", name)


def test_a_file_made_to_be_slow_is_not(tmp_path: Path) -> None:
    words = ", ".join(f'"{"a " * (number % 7 + 1)}b{number}"' for number in range(3000))
    patterns = ", ".join(f'"a ... * ... * ... a x{number}"' for number in range(3000))
    slow = f'{SMALL}\n[[rules]]\nsays = "slow"\nweight = 1.0\nwords = [{words}]\npatterns = [{patterns}]\n'
    guard = cats(tmp_path, slow)
    began = time.perf_counter()
    guard.check("a " * 500_000)
    assert time.perf_counter() - began < 5 * SECONDS


# ---- where they come from


def test_a_file_in_the_home_folder_is_a_guard_and_goes_before_a_built_in_one(home: Path) -> None:
    assert guard_names() == ["python", "stories"]
    cats(home / "guards")
    (home / "guards" / "stories.toml").write_text(SMALL, encoding="utf-8")
    (home / "guards" / "torn.toml").write_text("title =")
    (home / "guards" / "an odd name\x1b.toml").write_text(SMALL, encoding="utf-8")
    assert guard_names() == ["cats", "python", "stories", "torn"]
    assert find_guard("cats").check("a cat").accepted
    assert find_guard("stories").title == "cats"
    found = {guard.name: guard for guard in list_guards()}
    assert found["python"].origin == "built-in"
    assert found["cats"].origin == str(home / "guards" / "cats.toml")
    assert "is not valid TOML" in found["torn"].problem
    with pytest.raises(ConfigError, match=r"there are cats, python, stories, torn.*docs/guards\.md"):
        find_guard("dogs")
    for name in ("../cats", "", "a" * 100, "\x1b"):
        with pytest.raises(ConfigError, match="is no name of a guard"):
            find_guard(name)


class Short:
    """A guard of a few lines."""

    name = "short"
    title = "short prompts"

    def check(self, prompt: str) -> Verdict:
        """No more than three words."""
        words = len(prompt.split())
        return Verdict(accepted=words <= 3, reason=f"has {words} words", refusal="Shorter, please.")


class Raising(Short):
    """A guard with a mistake."""

    def check(self, prompt: str) -> Verdict:
        raise ValueError("no\nverdict")


class Silent(Short):
    """A guard that gives something else."""

    def check(self, prompt: str) -> Verdict:
        return None  # type: ignore[return-value]


class Nameless:
    """No guard."""


def test_a_plug_in_of_another_package_is_found_by_its_entry_point(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        metadata.EntryPoint(name.lower(), f"{__name__}:{name}", finding.ENTRY_POINTS)
        for name in ("Short", "Raising", "Silent", "Nameless", "Missing")
    ]
    monkeypatch.setattr(finding.metadata, "entry_points", lambda group: entries if "tui_gpt.guards" in group else [])
    assert guard_names() == ["missing", "nameless", "python", "raising", "short", "silent", "stories"]
    short = find_guard("short")
    assert judge(short, "one two").accepted
    verdict = judge(short, "one two three four")
    assert (verdict.accepted, verdict.reason, verdict.refusal) == (False, "has 4 words", "Shorter, please.")
    problems = {guard.name: guard.problem for guard in list_guards() if guard.problem}
    assert set(problems) == {"missing", "nameless"}
    with pytest.raises(GuardError, match="ValueError: no; mend it"):
        judge(find_guard("raising"), "x")
    with pytest.raises(GuardError, match="NoneType"):
        judge(find_guard("silent"), "x")
