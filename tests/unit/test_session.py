"""The session as a real process: it answers, it can be interrupted, and nothing in it corrupts its words."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import Call, Trained
from session_talk import DEADLINE, Talk
from training_runs import Scene, hold, release, tiny, wait_held, wait_state

from tui_gpt.core.config import DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig, WritingPrecision
from tui_gpt.core.errors import RunError
from tui_gpt.core.messages import (
    Begin,
    Begun,
    Calibrate,
    Calibrated,
    Cancel,
    Cancelled,
    Explore,
    Explored,
    Failed,
    Fork,
    Generate,
    Generated,
    Generating,
    ListTokens,
    Load,
    Loaded,
    ModelRef,
    Progress,
    Publish,
    Published,
    Ready,
    Reply,
    TokenRows,
    TokensListed,
    Wrote,
)
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import read_pointers
from tui_gpt.core.runs.store import RunStore
from tui_gpt.engine.network import GPT
from tui_gpt.engine.session.lanes import Cancellation, Turn
from tui_gpt.engine.training.begin import begin_run

TOY = ModelRef(kind="model", name="toy")
ENDLESS = SampleConfig(max_new_tokens=1_000_000, seed=1)


@pytest.fixture(scope="module")
def own_home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the trained home, to be added to, in which this process lives too."""
    home = tmp_path_factory.mktemp("session") / "home"
    shutil.copytree(trained.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def talk(own_home: Path) -> Iterator[Talk]:
    """One session for all tests that leave it alive."""
    with Talk(own_home, own_home.parent) as found:
        yield found


def text_of(replies: list[Reply]) -> str:
    return "".join(piece.text for reply in replies if isinstance(reply, Wrote) for piece in reply.pieces)


def test_the_first_line_comes_before_anything_heavy_is_loaded(talk: Talk) -> None:
    assert isinstance(talk.first, Ready)
    assert talk.first.pid == talk.process.pid
    program = (
        "import sys, tui_gpt.engine.session.__main__\n"
        "sys.exit(','.join(n for n in ('torch', 'numpy', 'tiktoken', 'tokenizers') if n in sys.modules) or 0)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr


def test_a_corpus_is_explored_as_the_command_does(talk: Talk, trained: Trained, own_home: Path, call: Call) -> None:
    found = talk.ask(Explore(id=1, data=DataConfig(corpus=str(trained.text))))
    assert isinstance(found, Explored)
    told = call("corpora", "show", trained.text, "--json", home=own_home).json
    for name in ("source", "sha256", "characters", "documents", "tokens", "train_tokens", "bytes_per_token", "sample"):
        assert getattr(found, name) == told[name], name
    assert [(t.id, t.text) for t in found.line_tokens] == [(t["id"], t["text"]) for t in told["line_tokens"]]
    assert found.line == told["line"]


def test_tokens_are_told_as_the_command_tells_them(talk: Talk, trained: Trained, own_home: Path, call: Call) -> None:
    talk.send(ListTokens(id=3, data=DataConfig(corpus=str(trained.text), tokenizer="bpe", bpe_vocab_size=2000)))
    *events, last = talk.until(TokensListed, Failed)
    assert isinstance(last, TokensListed)
    rows = [event for event in events if isinstance(event, TokenRows)]
    assert [row.first for row in rows] == list(range(0, last.vocab_size, 1000))
    told = call(
        *("corpora", "tokens", trained.text, "--tokenizer", "bpe", "--bpe-vocab-size", "2000"),
        *("--sort", "id", "--json"),
        home=own_home,
    )
    tokens = [json.loads(line) for line in told.out.splitlines()]
    assert [text for row in rows for text in row.texts] == [token["text"] for token in tokens]
    assert [count for row in rows for count in row.counts] == [token["count"] for token in tokens]
    assert [length for row in rows for length in row.lengths] == [len(token["bytes"]) // 2 for token in tokens]
    assert last.train_tokens == sum(token["count"] for token in tokens)
    assert last.end_of_text is not None and tokens[last.end_of_text]["text"] == "<|endoftext|>"
    refused = talk.ask(ListTokens(id=4, data=DataConfig(corpus="gone.txt")))
    assert isinstance(refused, Failed) and "gone.txt" in refused.message


def test_a_line_with_unknown_characters_costs_its_tokens_and_not_the_facts(talk: Talk, trained: Trained) -> None:
    data = DataConfig(corpus=str(trained.text))
    found = talk.ask(Explore(id=1, data=data, text="Ωmega"))
    assert isinstance(found, Explored)
    assert (found.line, found.line_tokens) == ("Ωmega", [])
    assert "Ω" in found.line_problem
    found = talk.ask(Explore(id=2, data=data, text="cat"))
    assert isinstance(found, Explored)
    assert [token.text for token in found.line_tokens] == ["c", "a", "t"]


def test_what_is_written_is_what_the_command_writes(talk: Talk, own_home: Path, call: Call) -> None:
    settings = SampleConfig(max_new_tokens=40, seed=5)
    talk.send(Generate(id=3, model=TOY, prompt="The", settings=settings))
    replies = talk.until(Generated)
    told = call("sample", "toy", "--prompt", "The", "--max-new-tokens", "40", "--seed", "5", "--json", home=own_home)
    assert text_of(replies) == told.json["text"]
    assert {reply.id for reply in replies} == {3}
    order = [type(reply) for reply in replies if not isinstance(reply, Progress | Wrote)]
    assert order == [Generating, Generated]
    last = replies[-1]
    assert isinstance(last, Generated)
    assert (last.tokens, last.reasons) == (40, ["length"])
    assert 0 < last.first_token_seconds <= last.seconds


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_weights_in_fewer_bits_write_what_they_write_for_the_command(
    talk: Talk, own_home: Path, call: Call, precision: WritingPrecision
) -> None:
    settings = SampleConfig(max_new_tokens=30, seed=6)
    told = call(
        *(
            "sample",
            "toy",
            "--prompt",
            "The",
            "--max-new-tokens",
            "30",
            "--seed",
            "6",
            "--precision",
            precision,
            "--json",
        ),
        home=own_home,
    )
    for number in (1, 2):  # made for the first time, and there already
        talk.send(Generate(id=number, model=TOY, prompt="The", settings=settings, precision=precision))
        assert text_of(talk.until(Generated)) == told.json["text"]


def test_pieces_that_come_fast_go_together_and_the_first_alone(talk: Talk) -> None:
    talk.ask(Load(id=1, model=TOY))
    talk.send(Generate(id=2, model=TOY, prompt="The", settings=SampleConfig(max_new_tokens=200, seed=5, n_samples=2)))
    wrote = [reply for reply in talk.until(Generated) if isinstance(reply, Wrote)]
    assert len(wrote[0].pieces) == 1
    assert len(wrote) < 400
    pieces = [piece for reply in wrote for piece in reply.pieces]
    assert [sum(piece.sample == number for piece in pieces) for number in (0, 1)] == [200, 200]
    assert all(piece.token_id is not None and piece.logprob is not None for piece in pieces)


def test_a_loaded_model_is_described_and_read_once(talk: Talk) -> None:
    ModelHandler().fork("toy", "again")
    model = ModelRef(kind="model", name="again")
    first, second = talk.ask(Load(id=1, model=model)), talk.ask(Load(id=2, model=model))
    assert isinstance(first, Loaded)
    assert isinstance(second, Loaded)
    assert (first.title, first.step, first.n_positions) == ("again", 20, 32)
    assert first.val_loss is not None
    assert second.seconds < first.seconds


def test_a_generation_is_cancelled_while_it_writes(talk: Talk) -> None:
    talk.send(Generate(id=1, model=TOY, prompt="", settings=ENDLESS))
    talk.until(Wrote)
    talk.send(Cancel(id=2, target=1))
    assert talk.until(Cancelled, Generated)[-1] == Cancelled(id=1)
    assert isinstance(talk.ask(Load(id=3, model=TOY)), Loaded)


def test_a_request_that_waits_is_cancelled_at_once(talk: Talk) -> None:
    talk.send(Generate(id=1, model=TOY, prompt="", settings=ENDLESS))
    talk.until(Wrote)
    talk.send(Load(id=2, model=TOY), Cancel(id=3, target=2))
    assert talk.until(Cancelled)[-1] == Cancelled(id=2)
    talk.send(Cancel(id=4, target=1), Cancel(id=5, target=99))
    assert talk.until(Cancelled)[-1] == Cancelled(id=1)
    assert talk.ask(Load(id=6, model=TOY)).id == 6  # nothing comes of the second one any more


def test_it_talks_while_it_works(talk: Talk, trained: Trained) -> None:
    config = RunConfig(data=DataConfig(corpus=str(trained.text)), train=TrainConfig(batch_size=256, max_steps=9))
    talk.send(Calibrate(id=1, config=config, seconds=500))
    talk.until(Progress)
    talk.send(Generate(id=2, model=TOY, prompt="The", settings=SampleConfig(max_new_tokens=5)))
    assert talk.until(Generated, Calibrated)[-1].id == 2
    talk.send(Cancel(id=3, target=1))
    assert talk.until(Cancelled, Calibrated)[-1] == Cancelled(id=1)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (ModelRef(kind="model", name="nobody"), "nobody"),
        (ModelRef(kind="run", name="nobody"), "there is no run named nobody"),
        (ModelRef(kind="run", name="toy", checkpoint="7"), "has no checkpoint 7"),
        (ModelRef(kind="run", name="toy", checkpoint="worst"), "neither best nor last"),
        (ModelRef(kind="folder", name="/nowhere/at/all"), "is not a folder"),
        (ModelRef(kind="model", name="../toy"), "name"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_model_that_is_not_there_is_a_sentence(talk: Talk, model: ModelRef, words: str) -> None:
    reply = talk.ask(Load(id=1, model=model))
    assert isinstance(reply, Failed)
    assert words in reply.message
    assert "unexpected" not in reply.message


def test_two_models_stay_in_memory_and_the_one_used_last_is_not_put_away(own_home: Path, trained: Trained) -> None:
    from tui_gpt.engine.session.model_shelf import ModelShelf

    shelf, turn = ModelShelf(), Turn(Load(id=1, model=TOY), lambda _: None)
    for name in ("one", "two", "three"):
        ModelHandler().fork("toy", name)
    one, two, three = (ModelRef(kind="model", name=name) for name in ("one", "two", "three"))
    first, second = shelf.take(one, turn), shelf.take(two, turn)
    assert shelf.take(one, turn) is first
    begin_run(tiny(trained.text), "childless")
    with pytest.raises(RunError, match="first evaluation"):
        shelf.take(ModelRef(kind="run", name="childless"), turn)
    assert shelf.take(two, turn) is second
    assert shelf.take(one, turn) is first
    third = shelf.take(three, turn)
    assert (shelf.take(one, turn), shelf.take(three, turn)) == (first, third)
    turn.cancel()
    with pytest.raises(Cancellation):
        shelf.take(two, turn)  # it was put away, and has to be read


def test_a_small_model_writes_with_one_thread(trained: Trained) -> None:
    from tui_gpt.engine.session.threads import use_threads

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        use_threads(GPT(ModelConfig(n_layer=1, n_embd=32, n_head=2, vocab_size=8)))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_damaged_model_is_refused_even_after_it_was_read(talk: Talk, own_home: Path) -> None:
    ModelHandler().fork("toy", "doomed")
    doomed = ModelRef(kind="model", name="doomed")
    assert isinstance(talk.ask(Load(id=1, model=doomed)), Loaded)
    weights = own_home / "models" / "doomed" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    reply = talk.ask(Generate(id=2, model=doomed, prompt="The"))
    assert isinstance(reply, Failed)
    assert "model.safetensors" in reply.message


def test_a_run_is_begun_and_forked_and_published(talk: Talk, trained: Trained) -> None:
    config = tiny(trained.text)
    assert talk.ask(Begin(id=1, config=config, name="bard")) == Begun(id=1, run="bard")
    reply = talk.ask(Begin(id=2, config=config, name="bard"))
    assert isinstance(reply, Failed)
    assert "bard-2" in reply.message
    assert talk.ask(Publish(id=3, run="toy", name="toy-2")) == Published(id=3, model="toy-2")
    assert ModelHandler().get("toy-2").record is not None
    forked = talk.ask(Fork(id=4, run="toy", name="fork", changes={"max_steps": 30}))
    assert forked == Begun(id=4, run="fork")
    assert RunStore().open("fork").record.config.train.max_steps == 30


def test_a_configuration_that_does_not_go_together_is_refused(talk: Talk, trained: Trained) -> None:
    config = RunConfig(data=DataConfig(corpus=str(trained.text)), model=ModelConfig(n_embd=33, n_head=2))
    for request in (Begin(id=1, config=config), Calibrate(id=2, config=config)):
        reply = talk.ask(request)
        assert isinstance(reply, Failed)
        assert "model.n_head" in reply.message


def test_a_run_without_a_checkpoint_says_when_the_first_one_comes(talk: Talk, trained: Trained) -> None:
    assert isinstance(talk.ask(Begin(id=1, config=tiny(trained.text), name="young")), Begun)
    reply = talk.ask(Load(id=2, model=ModelRef(kind="run", name="young")))
    assert isinstance(reply, Failed)
    assert "first evaluation" in reply.message


def test_a_newer_checkpoint_of_a_run_in_progress_is_noticed(scene: Scene, tmp_path: Path) -> None:
    run = scene.begin(tiny(scene.text))
    scene.start(run, hold(15), hold(25))
    with Talk(scene.home, tmp_path) as talk:

        def step(checkpoint: str | None = None) -> int | None:
            ref = ModelRef(kind="run", name="bard", checkpoint=checkpoint)
            talk.send(Generate(id=1, model=ref, prompt="The", settings=SampleConfig(max_new_tokens=3)))
            return next(reply.step for reply in talk.until(Generated, Failed) if isinstance(reply, Generating))

        wait_held(run, 15)
        assert (step(), step("10"), step("best")) == (10, 10, 10)
        release(run, 15)
        wait_held(run, 25)
        assert step() == 20
        release(run, 25)
        wait_state(run, "finished")
        scene.started[0].wait(DEADLINE)
        pointers = read_pointers(run.folder)
        assert (step(), step("last")) == (pointers.best, pointers.last)


def test_what_a_library_prints_goes_to_the_log(trained: Trained, tmp_path: Path) -> None:
    deed = "print('stray'); os.write(1, b'raw\\n'); os.system('echo child'); assert sys.stdin.read() == ''"
    with Talk(trained.home, tmp_path, deed=deed) as talk:
        assert isinstance(talk.ask(Explore(id=1, data=DataConfig(corpus=str(trained.text)))), Explored)
        assert {"stray", "raw", "child"} <= set(talk.log.read_text().split())


@pytest.mark.parametrize("deed", ["raise ZeroDivisionError('a\\nb')", "raise SystemExit('no')"])
def test_what_nobody_expected_is_a_sentence_that_names_the_log(trained: Trained, tmp_path: Path, deed: str) -> None:
    with Talk(trained.home, tmp_path, deed=deed) as talk:
        for number in (1, 2):
            reply = talk.ask(Explore(id=number, data=DataConfig(corpus=str(trained.text))))
            assert isinstance(reply, Failed)
            assert "an unexpected" in reply.message
            assert str(talk.log) in reply.message
            assert "\n" not in reply.message
        assert "Traceback" in talk.log.read_text()


def test_lines_that_are_no_requests_are_answered_or_logged_and_passed_over(talk: Talk) -> None:
    talk.write(b"hello\n\n" + b"[" * 50_000 + b"\n" + json.dumps({"type": "dance", "id": 4}).encode() + b"\n")
    reply = talk.read()
    assert isinstance(reply, Failed)
    assert (reply.id, "dance" in reply.message) == (4, True)
    assert isinstance(talk.ask(Load(id=5, model=TOY)), Loaded)
    assert "hello" in talk.log.read_text()


def test_sigint_is_not_for_it(talk: Talk) -> None:
    talk.send(Generate(id=1, model=TOY, prompt="", settings=ENDLESS))
    talk.until(Wrote)
    talk.process.send_signal(signal.SIGINT)
    talk.send(Cancel(id=2, target=1))
    assert talk.until(Cancelled)[-1] == Cancelled(id=1)


@pytest.mark.parametrize("reader", ["lives", "is dead"])
def test_it_leaves_when_stdin_closes_while_it_writes_and_its_reader(
    trained: Trained, tmp_path: Path, reader: str
) -> None:
    with Talk(trained.home, tmp_path) as talk:
        talk.send(Generate(id=1, model=TOY, prompt="", settings=ENDLESS))
        talk.until(Wrote)
        assert talk.process.stdout is not None
        if reader == "is dead":
            talk.process.stdout.close()
        assert talk.end() == 0
        assert "Traceback" not in talk.log.read_text()


def test_ended_by_sigterm_while_it_prepares_it_leaves_nothing_half_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Talk(home, tmp_path) as talk:
        talk.send(Explore(id=1, data=DataConfig(corpus="stories", corpus_megabytes=64)))
        talk.until(Progress)
        talk.process.send_signal(signal.SIGTERM)
        assert talk.process.wait(DEADLINE) == 143
    assert list((home / "cache" / "corpora").glob(".*.tmp")) == []
