"""A text that is learned from while it arrives: nothing that happens on its way changes what a run learns."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from arriving_text import PARTS, Arriving, arriving, stories, streamed
from training_runs import Scene, final_weights, last_words, learned, obey, records, status_of, until, wait_state

from tui_gpt.core import locations
from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.fetched import downloads_folder, part_of
from tui_gpt.core.runs.records import read_optional
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.streaming.corpus import StreamedCorpus
from tui_gpt.engine.training.arrival import PARTS_FILE, LearnedParts
from tui_gpt.engine.training.forking import fork_run
from tui_gpt.engine.training.opening import damage_to_tokens

STEPS = 40
"""About one and a half epochs."""


@pytest.fixture
def text(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arriving]:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    with arriving(monkeypatch) as found:
        found.let_through(1)
        yield found


@pytest.fixture
def reference(tmp_path_factory: pytest.TempPathFactory, text: Arriving) -> Iterator[Run]:
    """What a run learns whose text was all there from the beginning."""
    elsewhere = Scene(tmp_path_factory.mktemp("elsewhere"))
    text.let_all_through()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(elsewhere.home))
        assert prepare(streamed().data).train.n_tokens
        run = elsewhere.begin(streamed(max_steps=STEPS), "reference")
        assert not run.record.data.is_estimated
        assert elsewhere.train_forked(run) == 0, last_words(run)
    text.train.released.clear()
    yield run
    elsewhere.end_all()


def folder_of(run: Run) -> Path:
    return locations.cache_dir() / "corpora" / run.record.data.prepared


def parts_of(run: Run) -> int:
    return len(list(folder_of(run).glob("part-*.json")))


def parts_learned(run: Run) -> int:
    """How many the trainer has taken up."""
    known = read_optional(run.folder / PARTS_FILE, LearnedParts)
    return 0 if known is None else len(known.sha256)


def waits(run: Run) -> bool:
    status = run.status()
    return status is not None and status.activity.startswith("waiting for the text: ")


def feeders(run: Run) -> list[psutil.Process]:
    owner = run.owner()
    children = psutil.Process(owner.pid).children() if owner else []
    return [child for child in children if "tui_gpt.engine.text.streaming.feeder" in child.cmdline()]


def assert_same(run: Run, reference: Run) -> None:
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)
    assert run.record.data.sha256 == reference.record.data.sha256


@pytest.mark.slow
def test_it_trains_on_what_has_come_waits_obeys_and_is_killed_and_learns_what_a_whole_text_teaches(
    scene: Scene, text: Arriving, reference: Run
) -> None:
    run = scene.begin(streamed(max_steps=STEPS))
    assert run.record.data.is_estimated and run.record.data.stream is not None
    assert parts_of(run) == 1
    process = scene.fork(run)
    until(lambda: waits(run), run)
    first = status_of(run).step
    assert 0 < first < STEPS and status_of(run).state == "running"
    # While it waits it does what it is told.
    assert obey(run, "pause").outcome == "done"
    assert wait_state(run, "paused").activity == ""
    assert obey(run, "resume").outcome == "done"
    assert obey(run, "save", name="early").outcome == "done" and scene.models() == ["early"]
    until(lambda: waits(run), run)
    elapsed = status_of(run).elapsed_seconds
    text.let_through(3)
    until(lambda: status_of(run).step > first and waits(run), run)
    second = status_of(run).step
    [feeder] = feeders(run)
    assert status_of(run).elapsed_seconds < elapsed + 30
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    until(lambda: run.liveness() == "dead")
    until(lambda: not psutil.pid_exists(feeder.pid))  # it ends with its trainer
    again = scene.fork(run)
    until(lambda: status_of(run).step == second and waits(run), run)
    text.let_all_through()
    assert again.wait() == 0, last_words(run)
    assert parts_of(run) == PARTS
    assert_same(run, reference)


@pytest.mark.slow
def test_a_feeder_that_is_killed_is_followed_by_another_one(scene: Scene, text: Arriving, reference: Run) -> None:
    run = scene.begin(streamed(max_steps=STEPS))
    process = scene.fork(run)
    until(lambda: waits(run), run)
    feeder = until(lambda: feeders(run), run)[0]
    feeder.kill()
    until(lambda: any("has ended (exit code -9)" in warning for warning in status_of(run).warnings), run)
    until(lambda: feeders(run) and feeders(run)[0].pid != feeder.pid, run)
    until(lambda: not status_of(run).warnings, run)
    text.let_all_through()
    assert process.wait() == 0, last_words(run)
    assert_same(run, reference)


@pytest.mark.slow
def test_without_a_network_it_says_so_goes_on_when_it_is_back_and_stops_and_resumes_without(
    scene: Scene, text: Arriving, reference: Run
) -> None:
    run = scene.begin(streamed(max_steps=STEPS))
    text.train.is_down = True
    process = scene.fork(run)
    until(lambda: waits(run) and status_of(run).warnings, run)
    [warning] = status_of(run).warnings
    assert warning.startswith("the text does not arrive: TinyStories cannot be fetched: 127.0.0.1 cannot be reached")
    assert obey(run, "stop").outcome == "done"
    assert process.wait() == 0
    again = scene.fork(run)
    until(lambda: run.effective_state() == "running" and waits(run) and status_of(run).warnings, run)
    text.train.is_down = False
    text.let_all_through()
    assert again.wait() == 0, last_words(run)
    assert status_of(run).warnings == []
    assert_same(run, reference)


@pytest.mark.slow
def test_two_trainers_learn_from_one_text_and_one_of_them_may_leave(
    scene: Scene, text: Arriving, reference: Run
) -> None:
    runs = [scene.begin(streamed(max_steps=STEPS), name) for name in ("one", "two")]
    processes = [scene.fork(run) for run in runs]
    for run in runs:
        until(lambda run=run: waits(run) and feeders(run), run)
    assert folder_of(runs[0]) == folder_of(runs[1])
    assert obey(runs[0], "stop").outcome == "done" and processes[0].wait() == 0
    text.let_all_through()
    assert processes[1].wait() == 0, last_words(runs[1])
    assert_same(runs[1], reference)
    assert scene.train_forked(runs[0]) == 0, last_words(runs[0])
    assert_same(runs[0], reference)


def test_parts_that_are_lost_or_damaged_are_made_again_and_must_be_the_same(
    scene: Scene, text: Arriving, reference: Run
) -> None:
    run = scene.begin(streamed(max_steps=STEPS))
    text.let_through(3)
    process = scene.fork(run)
    until(lambda: waits(run) and parts_of(run) == 3, run)
    process.kill()
    folder = folder_of(run)
    lost, damaged = folder / "part-00000.bin", folder / "part-00001.bin"
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[::-1])
    left = folder / ".part-00001.bin.0123.tmp"
    left.write_bytes(b"of a feeder that was killed")
    text.let_all_through()
    assert scene.train_forked(run) == 0, last_words(run)
    assert not left.exists()
    assert_same(run, reference)


@pytest.mark.slow
def test_the_clock_of_a_run_by_minutes_stands_while_it_waits(scene: Scene, text: Arriving) -> None:
    minutes = 0.05
    run = scene.begin(streamed(max_minutes=minutes))
    process = scene.fork(run)
    until(lambda: waits(run), run)
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 60 * minutes, run)
    assert waits(run) and status_of(run).elapsed_seconds < 60 * minutes
    assert obey(run, "pause").outcome == "done" and obey(run, "step", count=2).outcome == "done"
    until(lambda: waits(run), run)
    text.let_all_through()
    until(lambda: status_of(run).state == "paused" and status_of(run).step == records(run, "train")[-1].step, run)
    assert obey(run, "resume").outcome == "done"
    assert process.wait() == 0, last_words(run)
    assert status_of(run).elapsed_seconds >= 60 * minutes


@pytest.mark.slow
def test_another_text_in_the_place_of_the_one_that_was_learned_from_is_refused(scene: Scene, text: Arriving) -> None:
    run = scene.begin(streamed(max_steps=STEPS))
    text.let_through(3)
    process = scene.fork(run)
    until(lambda: waits(run) and parts_learned(run) == 3, run)  # not before is another text another one
    [feeder] = feeders(run)
    process.kill()
    until(lambda: not psutil.pid_exists(feeder.pid))  # what it had still to write would mend the file again
    path = part_of(downloads_folder("tinystories") / "TinyStories-train.txt")
    content = path.read_bytes()
    at = content.index(stories(107)[25].encode())
    path.write_bytes(content[:at] + b"XYZ" + content[at + 3 :])
    (folder_of(run) / "part-00001.bin").unlink()
    assert scene.train_forked(run) != 0
    error = status_of(run).error or ""
    assert error.startswith("part 2 of TinyStories is damaged, and made again it is another one"), error
    # Without its record in the cache, the run's own tells.
    for file in folder_of(run).glob("part-0000[12].*"):
        file.unlink()
    assert scene.train_forked(run) != 0
    error = status_of(run).error or ""
    assert error.startswith("part 2 of TinyStories is not what this run has learned from"), error


@pytest.mark.slow
def test_a_run_by_epochs_waits_for_all_of_it_and_a_fork_by_epochs_does(scene: Scene, text: Arriving) -> None:
    run = scene.begin(streamed(max_steps=4), "short")
    assert scene.train_forked(run) == 0, last_words(run)
    fork = fork_run(run, "long", changes={"max_steps": None, "max_epochs": 1.0})
    process = scene.fork(fork)
    text.let_through(3)
    until(lambda: (s := fork.status()) is not None and s.activity.startswith(("fetching T", "encoding part")), fork)
    text.let_all_through()
    assert process.wait() == 0, last_words(fork)
    by_epochs = scene.begin(streamed(max_epochs=1.0), "epochs")
    assert not by_epochs.record.data.is_estimated
    assert scene.train_forked(by_epochs) == 0, last_words(by_epochs)
    steps = status_of(by_epochs).step
    assert status_of(fork).step == steps == -(-by_epochs.record.data.rows_per_epoch // 4)


def test_token_files_that_change_under_a_trainer_are_a_sentence(scene: Scene, text: Arriving) -> None:
    run = scene.begin(streamed(max_steps=STEPS))
    assert damage_to_tokens(run, IndexError("out of range")) == ""
    part = folder_of(run) / "part-00000.bin"
    part.write_bytes(b"\xff" * part.stat().st_size)
    told = damage_to_tokens(run, IndexError("out of range"))
    assert "part-00000.bin has changed" in told and told.endswith("resume the run")


@pytest.mark.slow
def test_two_processes_see_the_parts_that_the_first_one_has_seen(scene: Scene, text: Arriving, reference: Run) -> None:
    run = scene.begin(streamed(max_steps=STEPS), processes=2)
    process = scene.start(run, nproc=2)
    until(lambda: waits(run), run)
    text.let_through(3)
    until(lambda: status_of(run).step > 10 and waits(run), run)
    text.let_all_through()
    assert process.wait(60) == 0, last_words(run)
    mine, theirs = ([values["loss"] for kind, _, values in learned(r) if kind == "train"] for r in (run, reference))
    assert mine == pytest.approx(theirs, rel=1e-4)


def test_all_that_there_is_ends_where_the_file_ends(scene: Scene, text: Arriving) -> None:
    text.let_all_through()
    data = streamed(data={"max_documents": 0}).data
    prepared = prepare(data)
    assert isinstance(prepared, StreamedCorpus) and prepared.is_complete and prepared.parts_here == PARTS + 1
    assert prepared.facts.documents == 107 - 2 + 25 - 2
    eot = prepared.tokenizer.eot_id
    read = prepared.tokenizer.decode(prepared.train.tokens).split("<|endoftext|>")
    kept = [story for n, story in enumerate(stories(107)) if n not in (3, 5)]
    assert eot is not None and sorted(read) == sorted(["", *kept])
    text.train.is_down = True
    again = prepare(data, fetch=False)
    assert (again.folder, again.facts, again.train.n_tokens) == (
        prepared.folder,
        prepared.facts,
        prepared.train.n_tokens,
    )
    few = prepare(DataConfig(corpus="tinystories", bpe_vocab_size=300, max_documents=10), fetch=False)
    assert not isinstance(few, StreamedCorpus)


def test_only_who_may_fetch_does(scene: Scene, text: Arriving) -> None:
    with pytest.raises(
        CorpusError, match="TinyStories is not on this machine yet; `tui-gpt corpora fetch tinystories`"
    ):
        prepare(streamed().data, fetch=False)
    assert text.train.asked == []


def test_a_record_of_a_run_says_how_its_text_is_made(scene: Scene, text: Arriving) -> None:
    run = scene.begin(streamed(max_steps=2))
    record = json.loads((run.folder / "run.json").read_text())["data"]
    assert record["stream"]["part_documents"] == 20 and record["stream"]["documents"] == 100
    assert record["is_estimated"] is True
    text.let_all_through()
    exact = prepare(streamed().data).train.n_tokens
    assert abs(record["n_train_tokens"] - exact) < 0.25 * exact
