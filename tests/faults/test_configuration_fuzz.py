"""Whatever stands in the fields of a configuration: the run begins and steps, or one sentence names the field."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from command_line import call, everything
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_runs import Scene, records, status_of, tiny

from tui_gpt.core import locations
from tui_gpt.core.config_loading import FieldDoc, build_config, field_docs, parse_setting
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.sizes import flops_per_token
from tui_gpt.engine.generation.evaluation import evaluate_corpus
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training.begin import begin_run
from tui_gpt.engine.training.devices import choose_execution
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.samples import sample_text
from tui_gpt.engine.training.schedules import learning_rate_factor

DOCS = {doc.path: doc for doc in field_docs()}
NONSENSE = ["", "nan", "inf", "-inf", "1e400", "-1", "0", "0x10", "１２", "9" * 30, "9" * 5000, "[1,2]", "['a']", "{}"]
NONSENSE += ["none", "true", "\0", "é", "\x1b[31m", "../x", " 3 ", "1e-400", "-0.0", "\udcff", "1_000", "0.5.5"]
WORDS = {
    "data.corpus": ["{text}", "{text}", "nothing", "/dev/zero", "{text}/inside"],
    "data.mix": ["", "{text}.2=0.3", "{text}.2=1", "nothing=0.5", "{text}=0.1", "['{text}.2=0.9', 'x=0.2']"],
    "data.encoding": ["auto", "utf-8", "latin-1", "utf-16", "cp037", "hex", "utf-7", "utf-32"],
    "data.column": ["", "text", "a.b", "漢"],
    "data.separator": ["", "<|endoftext|>", "\n", "a", "漢"],
    "train.sample_prompt": ["", "Once", "漢", "a" * 5000, "\n"],
    "train.device": ["auto", "cpu", "tpu", "cuda:x", "cpu:0"],
}
STEPS = 3
CHEAP = 1e8
"""FLOPs in a step up to which it is made."""


def raw_values(doc: FieldDoc) -> st.SearchStrategy[str]:
    """What a person may type into the field: its edges, ordinary values, and what is no value of it."""
    if doc.path in WORDS:
        usual = WORDS[doc.path]
    elif doc.choices:
        usual = list(doc.choices)
    elif doc.type == "yes/no":
        usual = ["true", "false"]
    elif doc.type == "list of text":
        usual = ["", "a", "['a', 'b']"]
    else:
        assert doc.minimum is not None and doc.maximum is not None
        low, high = doc.minimum, doc.maximum
        numbers = [low, high, min(low + 1, high), min(7, high), min(16, high), (low + high) / 2, 2 * high, low - 1]
        if doc.type == "number":
            numbers += [5e-324, 1e-38, 1e-8, 0.5, 1 - 1e-12, math.nextafter(low, high), math.nextafter(high, low)]
        usual = [str(int(number)) if doc.type == "integer" else repr(float(number)) for number in numbers]
    return st.sampled_from(usual) | st.sampled_from(usual) | st.sampled_from(NONSENSE)


SETTINGS = st.lists(
    st.sampled_from(list(DOCS)).flatmap(lambda path: st.tuples(st.just(path), raw_values(DOCS[path]))),
    min_size=1,
    max_size=6,
    unique_by=lambda setting: setting[0],
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A home whose text is prepared."""
    scene = Scene(tmp_path_factory.mktemp("fuzz"))
    scene.text.with_name(f"{scene.text.name}.2").write_text("Another text, to be mixed in. " * 200, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(scene.home))
        yield scene


BASE: dict[str, Any] = {
    "model": {"n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 16},
    "data": {"tokenizer": "char"},
    "train": {
        "batch_size": 4,
        "max_steps": STEPS,
        "threads": 1,
        "device": "cpu",
        "precision": "float32",
        "compile": "off",
        "eval_tokens": 64,
        "sample_tokens": 4,
    },
}


def runs() -> set[str]:
    folder = locations.runs_dir()
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def names_a_field(sentence: str, typed: list[tuple[str, str]]) -> bool:
    """Whether the sentence is one, short and plain, and names a field or what was typed into one."""
    assert "\n" not in sentence and len(sentence) < 1000, sentence
    fields = {path.split(".")[1] for path in DOCS} | {"--encoding", "--set"}
    return any(field in sentence for field in fields) or any(value and value in sentence for _, value in typed)


def check(scene: Scene, typed: list[tuple[str, str]]) -> bool:
    """Begin such a run; where it begins, make some steps, evaluate and write. Returns whether it began."""
    chosen = [(path, value.replace("{text}", str(scene.text))) for path, value in typed]
    before = runs()
    try:
        layers = [("--set", parse_setting(f"{path}={value}")) for path, value in chosen]
        config = build_config(("base", BASE), ("base", {"data": {"corpus": str(scene.text)}}), *layers)
        run = begin_run(config, "bard")
    except TuiGptError as error:
        assert names_a_field(str(error), chosen), str(error)
        assert runs() == before
        return False
    try:
        _use(run.record.config, run.record.data.prepared)
    finally:
        shutil.rmtree(run.folder)
    return True


def _use(config: Any, prepared: str) -> None:
    train = config.train
    cost = flops_per_token(config.model).training * config.model.n_positions * train.batch_size
    if cost > CHEAP or config.model.n_layer > 8 or train.compile == "on" or train.batch_size > 1000:
        return
    corpus = prepare(config.data)
    assert corpus.folder.name == prepared
    execution = choose_execution(msgspec.structs.replace(train, threads=1, device="cpu"), long_run=False)
    learner = Learner(config, execution, corpus.batches(config))
    for step in range(STEPS):
        factor = learning_rate_factor(train, step, step / STEPS)
        result = learner.train_step(step, factor)
        # Rates of 10 may blow up any network; everything else learns.
        assert result.applied or max(train.learning_rate, train.muon_learning_rate) > 1, result
    if max(train.learning_rate, train.muon_learning_rate) > 1:
        return
    assert all(bool(tensor.isfinite().all()) for tensor in learner.model_state().values())
    with learner.evaluation_network() as network:
        loss = evaluate_corpus(network, corpus, max_tokens=min(train.eval_tokens, 128)).loss
        assert math.isfinite(loss)
        if train.sample_tokens < 50:
            sample_text(network, corpus, config)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(SETTINGS)
def test_any_values_of_any_fields_begin_a_run_or_name_the_field_and_write_nothing(
    scene: Scene, typed: list[tuple[str, str]]
) -> None:
    torch.set_num_threads(1)
    check(scene, typed)


@pytest.mark.slow
@settings(max_examples=4000, suppress_health_check=list(HealthCheck))
@given(SETTINGS)
def test_many_values_of_many_fields_begin_a_run_or_name_the_field_and_write_nothing(
    scene: Scene, typed: list[tuple[str, str]]
) -> None:
    torch.set_num_threads(1)
    check(scene, typed)


@pytest.mark.parametrize("path", list(DOCS))
def test_what_is_no_value_is_refused_by_the_command_with_the_field_and_without_a_trace(path: str, scene: Scene) -> None:
    before = everything(scene.home) if scene.home.exists() else {}
    refused = 0
    for value in NONSENSE:
        answer = call("config", "show", "--set", f"{path}={value}", home=scene.home)
        if answer.code:
            # Of two fields that do not go together, either may be named.
            assert path.partition(".")[0] in answer.refused(2).partition(":")[0], value
            refused += 1
        else:
            assert answer.err == ""
    assert refused or DOCS[path].type in ("text", "list of text")
    assert (everything(scene.home) if scene.home.exists() else {}) == before


@pytest.mark.parametrize("path", ["train.adam_epsilon", "model.layer_norm_epsilon"])
@pytest.mark.parametrize("value", [5e-324, 1e-300, 1e-46, 1e-21])
def test_an_epsilon_that_float32_takes_for_nothing_is_refused(path: str, value: float, scene: Scene) -> None:
    answer = call("train", scene.text, "--steps", "3", "--set", f"{path}={value}", home=scene.home)
    assert path in answer.refused(2)


@pytest.mark.parametrize("epsilon", [1.01e-20, 1e-8])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_least_epsilon_divides_nothing_by_nothing(epsilon: float, optimizer: str, scene: Scene) -> None:
    # Most characters are in no batch of two: their gradients are zero.
    run = scene.begin(
        tiny(
            scene.text,
            model={"tie_word_embeddings": False, "n_positions": 2, "layer_norm_epsilon": epsilon},
            batch_size=1,
            max_steps=6,
            adam_epsilon=epsilon,
            optimizer=optimizer,
            sample_tokens=0,
        ),
        f"epsilon-{optimizer}-{epsilon}",
    )
    assert scene.train_here(run) == 0 and status_of(run).state == "finished"
    assert all(math.isfinite(float(record.values["loss"])) for record in records(run, "train"))


def test_a_refused_training_leaves_the_home_as_it_was(scene: Scene, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for wrong in (
        ["--set", "model.n_head=7"],
        ["--set", "train.learning_rate=1e30"],
        ["--minutes", "1", "--steps", "1", "--epochs", "nan"],
        ["--steps", "0"],
        ["--set", "train.grad_accumulation_steps=5"],
        ["--device", "cuda:99"],
        ["--nproc", "3"],
        ["--config", str(scene.text)],
        ["--preset", "nothing"],
    ):
        answer = call("train", scene.text, "--steps", "3", *wrong, home=home)
        answer.refused(2)
        assert not home.exists() or everything(home) == {}, wrong
