"""What data.mix says is shares that add up to one, or one sentence."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.config_loading import build_config, parse_setting
from tui_gpt.core.corpus_shares import MIX, WHOLE, corpus_shares, unique_names
from tui_gpt.core.errors import ConfigError

END = {"train": {"max_steps": 1}}


def test_the_last_equals_sign_splits_and_the_main_corpus_has_the_rest() -> None:
    parts = corpus_shares("stories", ["python-docs=0.25", "a=b.txt = .1"])
    assert [(part.corpus, part.share) for part in parts] == [
        ("stories", 0.65),
        ("python-docs", 0.25),
        ("a=b.txt", 0.1),
    ]
    assert [str(part) for part in parts[1:]] == ["python-docs=0.25", "a=b.txt=0.1"]
    assert [part.corpus for part in corpus_shares("stories", ())] == ["stories"]


@given(st.lists(st.integers(1, WHOLE - 1), max_size=5))
def test_shares_add_up_exactly_or_are_too_much(weights: list[int]) -> None:
    mix = [f"{number}.txt={weight / WHOLE:g}" for number, weight in enumerate(weights)]
    if sum(weights) >= WHOLE:
        with pytest.raises(ConfigError, match="nothing is left for main"):
            corpus_shares("main", mix)
        return
    parts = corpus_shares("main", mix)
    assert [part.weight for part in parts[1:]] == weights
    assert sum(Fraction(part.weight, WHOLE) for part in parts) == 1
    assert corpus_shares("main", [str(part) for part in parts[1:]]) == parts


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        (["python"], "'python' is not of the form CORPUS=SHARE"),
        (["=0.5"], "is not of the form"),
        (["python="], "is not of the form"),
        (["python=a"], "is not of the form"),
        (["python=nan"], "is not of the form"),
        (["python=-0.1"], "is not of the form"),
        (["python=1e-3"], "is not of the form"),
        (["python=٠.٥"], "is not of the form"),
        (["python=0,5"], "is not of the form"),
        (["python=0"], "is 0, and must be above 0 and below 1"),
        (["python=1"], "is 1, and must be above 0 and below 1"),
        (["python=25"], "is 25, and must be above 0"),
        (["python=0.00001"], "four places"),
        (["python=0.6", "python-docs=0.4"], "the shares come to 1, and nothing is left for stories"),
        (["python=0.1", "python=0.2"], "python is in it twice"),
        (["stories=0.1"], "stories is in it twice, or is the main corpus too"),
        (["a.txt=0.1", "./b/../a.txt=0.1"], "./b/../a.txt is in it twice"),
        (["-=0.1"], "standard input can only be the main corpus"),
    ],
)
def test_what_is_no_mix_is_refused_in_a_sentence_that_names_the_field(mix: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(("test", {"data": {"mix": mix}, **END}))
    assert caught.value.path == MIX and says in caught.value.message and "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_share_or_a_sentence(text: str) -> None:
    try:
        parts = corpus_shares("stories", [text])
    except ConfigError as error:
        assert error.path == MIX
    else:
        assert 0 < parts[1].share < 1


def test_a_file_called_like_a_built_in_corpus_is_another_one() -> None:
    assert len(corpus_shares("stories", ["./stories=0.5"])) == 2


def test_a_setting_takes_one_corpus_or_a_list() -> None:
    one, several = parse_setting("data.mix=python=0.5"), parse_setting('data.mix=["python=0.5", "python-docs=0.1"]')
    assert build_config(("", END), ("", one)).data.mix == ("python=0.5",)
    assert len(build_config(("", END), ("", several)).data.mix) == 2


def test_equal_names_are_told_apart() -> None:
    assert list(unique_names(["a", "b", "a", "a (2)", "a"])) == ["a", "b", "a (2)", "a (2) (2)", "a (3)"]
