"""Whatever a person writes into a configuration is kept exactly, or refused in one sentence that names the field."""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tui_gpt.core.config import SECTIONS, DataConfig, ModelConfig, RunConfig, TrainConfig, problems, to_dict
from tui_gpt.core.config_loading import (
    FieldDoc,
    all_problems,
    build_config,
    field_docs,
    parse_setting,
    parse_value,
    read_toml,
    to_toml,
    with_vocabulary,
)
from tui_gpt.core.errors import ConfigError

DOCS = {doc.path: doc for doc in field_docs()}
NUMERIC = [doc for doc in DOCS.values() if doc.type in ("integer", "number")]
MINIMAL: dict[str, Any] = {"train": {"max_steps": 10}}
OPEN_BELOW = {"layer_norm_epsilon", "max_epochs", "max_minutes", "adam_epsilon", "top_p", "repetition_penalty"}
OPEN_BELOW |= {"validation_fraction", "lora_alpha"}
OPEN_ABOVE = {"dropout", "beta1", "beta2", "muon_momentum", "muon_momentum_start", "weight_average"}
# Not every text is a value of these.
WORDS = {
    "data.encoding": ["auto", "utf-8", "latin-1", "utf-16"],
    "train.device": ["auto", "cpu", "mps", "cuda", "cuda:3"],
}
ENDS = ["max_steps", "max_epochs", "max_minutes"]

# TOML files are UTF-8, and so a configuration cannot hold half a surrogate pair.
PLAIN_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


def values(doc: FieldDoc) -> st.SearchStrategy[Any]:
    """Everything that the field allows by itself."""
    name = doc.path.partition(".")[2]
    inside: st.SearchStrategy[Any]
    if doc.choices:
        inside = st.sampled_from(doc.choices)
    elif doc.path in WORDS:
        inside = st.sampled_from(WORDS[doc.path])
    elif doc.type == "integer":
        assert doc.minimum is not None and doc.maximum is not None
        inside = st.integers(int(doc.minimum), int(doc.maximum))
    elif doc.type == "number":
        inside = st.floats(
            doc.minimum,
            doc.maximum,
            exclude_min=name in OPEN_BELOW,
            exclude_max=name in OPEN_ABOVE,
            allow_subnormal=False,
        )
    elif doc.type == "yes/no":
        inside = st.booleans()
    elif doc.path == "data.mix":
        inside = st.sampled_from([(), ("python-docs=0.25",), ("a=b=0.1", "\u202ebook.txt=0.0001")])
    elif doc.type == "list of text":
        inside = st.lists(PLAIN_TEXT, max_size=4).map(tuple)
    else:
        inside = PLAIN_TEXT
    return st.none() | inside if doc.optional else inside


@st.composite
def configurations(draw: st.DrawFn) -> RunConfig:
    """Valid configurations in which every field may have every value that it allows."""
    tree: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for path, doc in DOCS.items():
        section, name = path.split(".")
        tree[section][name] = draw(values(doc))
    model, train = tree["model"], tree["train"]
    model["n_embd"] = model["n_head"] * draw(st.integers(1, 32)) * 2
    if model["family"] == "gpt2":
        model["n_kv_head"] = model["head_dim"] = None
    else:
        model["n_kv_head"] = draw(st.sampled_from([None, 1, model["n_head"]]))
        model["head_dim"] = draw(st.sampled_from([None, 2, 64]))
    if tree["data"]["tokenizer"] == "gpt2":
        model["vocab_size"] = draw(st.sampled_from([None, 50257]))
    end = draw(st.sampled_from(ENDS))
    for other in ENDS:
        train[other] = draw(values(DOCS[f"train.{other}"]).filter(lambda v: v is not None)) if other == end else None
    train["grad_accumulation_steps"] = draw(st.sampled_from([1, train["batch_size"]]).filter(lambda n: n <= 100_000))
    config = msgspec.convert(tree, RunConfig)
    assume(not list(problems(config)))
    return config


@given(configurations(), st.booleans())
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_every_configuration_survives_its_file_bit_for_bit(tmp_path: Path, config: RunConfig, comments: bool) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config, comments=comments), encoding="utf-8")
    assert build_config((str(path), read_toml(path))) == config


@given(configurations())
@settings(max_examples=40, deadline=None)
def test_every_configuration_survives_json(config: RunConfig) -> None:
    assert msgspec.json.decode(msgspec.json.encode(config), type=RunConfig) == config
    assert build_config(("run.json", to_dict(config))) == config


@pytest.mark.parametrize("path", DOCS)
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_every_value_of_every_field_can_be_set_from_the_command_line(path: str, data: st.DataObject) -> None:
    value = data.draw(values(DOCS[path]))
    section, name = path.split(".")
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, tuple):
        text = msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    # Spaces at either end are not part of a setting, and the text "none" is not a path.
    if DOCS[path].type == "text":
        text = value = text.strip() or "x"
    parsed = parse_setting(f"{path}={text}")
    kept = tuple(parsed[section][name]) if isinstance(value, tuple) else parsed[section][name]
    assert kept == value
    assert type(kept) is type(value) or isinstance(value, float)


def the_error(tree: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        build_config(("base", MINIMAL), ("tree", tree))
    return caught.value


def is_one_sentence(error: ConfigError, path: str) -> bool:
    text = str(error)
    return text.startswith(f"{path}: ") and "\n" not in text and "Traceback" not in text and "msgspec" not in text


@pytest.mark.parametrize("doc", NUMERIC, ids=lambda doc: doc.path)
@pytest.mark.parametrize("side", ["minimum", "maximum"])
def test_a_number_outside_its_bounds_is_refused_with_the_bound(doc: FieldDoc, side: str) -> None:
    section, name = doc.path.split(".")
    bound = getattr(doc, side)
    assert bound is not None, "every number has both bounds"
    beyond = bound - 1 if side == "minimum" else bound + 1
    value = int(beyond) if doc.type == "integer" else beyond
    error = the_error({section: {name: value}})
    assert is_one_sentence(error, doc.path)
    assert error.path == doc.path
    assert f"{bound:.12g}" in str(error)


@pytest.mark.parametrize("doc", [d for d in NUMERIC if d.type == "number"], ids=lambda doc: doc.path)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_finite_number_is_refused_everywhere(doc: FieldDoc, value: float) -> None:
    section, name = doc.path.split(".")
    assert is_one_sentence(the_error({section: {name: value}}), doc.path)
    assert is_one_sentence(the_error(parse_setting(f"{doc.path}={value}")), doc.path)


@pytest.mark.parametrize("path", DOCS)
@pytest.mark.parametrize("value", [[], {}, {"a": 1}, [1], True, 5, 1.5, "x", None, b"x".decode() * 5000])
def test_a_value_of_another_type_is_refused_in_one_sentence(path: str, value: object) -> None:
    section, name = path.split(".")
    tree = {section: {name: value}}
    try:
        build_config(("base", MINIMAL), ("tree", tree))
    except ConfigError as error:
        if error.path != "train.max_minutes":  # emptying max_steps leaves no way to end
            assert str(error).startswith((f"{path}: ", f"{path}.", "train.max", "train.grad", "model.n_head"))
        assert "\n" not in str(error)
        assert len(str(error)) < 400


@given(st.text(string.ascii_lowercase + "_", min_size=1, max_size=20), st.sampled_from(list(SECTIONS)))
@settings(max_examples=30, deadline=None)
def test_an_unknown_field_is_refused_by_its_path(name: str, section: str) -> None:
    assume(f"{section}.{name}" not in DOCS)
    assert is_one_sentence(the_error({section: {name: 1}}), f"{section}.{name}")
    with pytest.raises(ConfigError) as caught:
        parse_setting(f"{section}.{name}=1")
    assert is_one_sentence(caught.value, f"{section}.{name}")


def test_a_misspelt_field_is_answered_with_the_right_one() -> None:
    assert "did you mean learning_rate?" in str(the_error({"train": {"learnig_rate": 1.0}}))
    assert "did you mean n_layer?" in str(the_error({"model": {"n_layers": 1}}))
    assert is_one_sentence(the_error({"modle": {"n_layer": 1}}), "modle")


@pytest.mark.parametrize("text", ["", "x", "n_layer=3", "=3", ".=3", "model=3", "model.n_layer", "--set"])
def test_what_is_not_a_setting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$"):
        parse_setting(text)


@given(st.sampled_from(list(DOCS)), st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_for_any_field_is_a_value_or_a_sentence(path: str, raw: str) -> None:
    try:
        tree = parse_setting(f"{path}={raw}")
        build_config(("base", MINIMAL), ("--set", tree))
    except ConfigError as error:
        assert str(error)
        assert "\n" not in str(error).replace(raw, "")


@pytest.mark.parametrize(
    ("path", "raw", "value"),
    [
        ("train.learning_rate", "1e-3", 1e-3),
        ("train.max_steps", "1_000", 1000),
        ("train.max_steps", "2e3", 2000),
        ("train.max_steps", "none", None),
        ("model.tie_word_embeddings", "No", False),
        ("sample.stop", '["a", "b"]', ["a", "b"]),
        ("sample.stop", "The end", ["The end"]),
        ("data.corpus", "a=b", "a=b"),
    ],
)
def test_settings_are_read_by_the_fields_type(path: str, raw: str, value: object) -> None:
    section, name = path.split(".")
    assert parse_setting(f"{path}={raw}") == {section: {name: value}}


def test_a_fraction_is_not_a_whole_number() -> None:
    with pytest.raises(ConfigError, match=r"expected a whole number, not '2\.5'"):
        parse_value(DOCS["train.max_steps"], "2.5")


@pytest.mark.parametrize(
    ("tree", "path", "says"),
    [
        (
            {"model": {"n_embd": 100, "n_head": 3}},
            "model.n_head",
            "3 heads do not divide n_embd = 100; use 1, 2, 4 or 5",
        ),
        ({"model": {"n_kv_head": 2}}, "model.n_kv_head", "does not exist in the gpt2 family"),
        ({"model": {"family": "qwen3", "n_head": 4, "n_kv_head": 3}}, "model.n_kv_head", "does not divide n_head"),
        ({"model": {"family": "qwen3", "head_dim": 7}}, "model.head_dim", "even number"),
        ({"train": {"max_steps": 5, "max_epochs": 1.0}}, "train.max_epochs", "both given"),
        ({"train": {"batch_size": 10, "grad_accumulation_steps": 3}}, "train.grad_accumulation_steps", "do not divide"),
        ({"model": {"vocab_size": 100}, "data": {"tokenizer": "gpt2"}}, "model.vocab_size", "50257"),
    ],
)
def test_fields_that_contradict_each_other_are_named(tree: dict[str, Any], path: str, says: str) -> None:
    error = the_error(tree)
    assert is_one_sentence(error, path)
    assert says in str(error)


def test_a_run_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing says when the run ends"):
        build_config()


def test_a_later_layer_replaces_the_way_of_ending() -> None:
    config = build_config(("preset", {"train": {"max_minutes": 3.0}}), ("--set", {"train": {"max_steps": 7}}))
    assert (config.train.max_steps, config.train.max_minutes) == (7, None)


def test_a_vocabulary_that_is_not_the_tokenizers_is_refused() -> None:
    config = RunConfig(model=ModelConfig(vocab_size=100), train=TrainConfig(max_steps=1))
    with pytest.raises(ConfigError, match=r"^model\.vocab_size: is 100, but .* has 65 tokens"):
        with_vocabulary(config, 65)
    assert with_vocabulary(RunConfig(), 65).model.vocabulary == 65
    with pytest.raises(ValueError, match="not known"):
        _ = ModelConfig().vocabulary


def test_a_form_learns_of_every_problem_at_once() -> None:
    tree = {
        "model": {"n_layer": 0, "n_embd": 100, "n_head": 3, "nonsense": 1},
        "train": {"learning_rate": math.nan, "max_steps": "many"},
        "data": {"tokenizer": "words"},
    }
    found = {problem.path for problem in all_problems(tree)}
    assert found >= {"model.n_layer", "model.nonsense", "train.learning_rate", "train.max_steps", "data.tokenizer"}
    assert "model.n_head" in found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[model\n", "not valid TOML"),
        (b"[model]\nn_layer = 1\nn_layer = 2\n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x = " + b"[" * 100_000, "not valid TOML"),
        (b"x = " + b"9" * 5000, "too long"),
        (b"#" * (1 << 20) + b"\n", "more than 1 MB"),
    ],
)
def test_a_damaged_file_is_a_sentence_with_its_name(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_tree_nested_without_end_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("a." * 5000 + "a = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="nested too deeply"):
        build_config((str(path), read_toml(path)))


def test_text_that_no_file_can_hold_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="not valid Unicode"):
        build_config(("--set", parse_setting("train.sample_prompt=a\udcff")), ("test", {"train": {"max_steps": 1}}))


def test_a_missing_file_is_a_sentence_with_its_name(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot be read"):
            read_toml(path)


@pytest.mark.parametrize("tree", [{"model": 5}, {"model": None}, {"model": [1]}, {"train": "x"}, {5: {}}])
def test_a_section_that_is_no_table_is_refused(tree: dict[str, Any]) -> None:
    assert "\n" not in str(the_error(tree))


def test_every_field_is_explained_and_every_default_is_valid() -> None:
    for doc in DOCS.values():
        assert doc.description.endswith(".") and len(doc.description) > 15, doc.path
    assert list(problems(RunConfig(train=TrainConfig(max_steps=1)))) == []
    assert DOCS["model.n_layer"].bounds == "1 to 512"
    assert DOCS["data.tokenizer"].choices == ("auto", "char", "bpe", "gpt2")
    assert [d.path for d in field_docs(DataConfig)] == [p for p in DOCS if p.startswith("data.")]
