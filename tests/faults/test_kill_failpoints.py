"""SIGKILL at every stage of a run, and there again: what is resumed learns bit for bit what it would have learned."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from run_invariants import Witness, differences, ended_in_good_order
from training_runs import EVERYTHING, Scene, fault, hold, last_words, release, tiny, wait_held

from tui_gpt.core.runs.commands import AckReader
from tui_gpt.core.runs.store import Run, RunStore

Fault = dict[str, Any]

FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "state.json",
    "state.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""Of a checkpoint, beside its manifest."""

STEP = {
    "before the batch": fault("batch", "kill", 5),
    "after the backward pass": fault("loss", "kill-after", 5),
    "before adamw": fault("adamw", "kill", 5),
    "between adamw and muon": fault("muon", "kill", 5),
    "between masters and network": fault("weights", "kill", 5),
    "before the average": fault("average", "kill", 5),
    "after the step": fault("train_step", "kill-after", step=4),
    "before the report": fault("report", "kill", 5),
    "after the report": fault("report", "kill-after", 5),
}
METRICS = {
    "an empty segment": fault("segment", "kill-after"),
    **{
        f"{how} a line of {kind}": fault("append", do, call, has=f'"kind":"{kind}"')
        for kind, call in (("start", 1), ("train", 5), ("eval", 2), ("sample", 2))
        for how, do in (("before", "kill"), ("within", "torn"), ("after", "kill-after"))
    },
}
CHECKPOINT = {
    "before the metrics are safe": fault("checkpoint", "kill", 2),
    "after the metrics are safe": fault("sync", "kill-after", 3),
    "within the weights": fault("model_tensors", "torn", 2),
    "after the weights": fault("model_tensors", "kill-after", 2),
    "within the configuration": fault("model_json", "torn", 2, name="config.json"),
    "after the model": fault("state", "kill", 2),
    "within the optimizer's state": fault("state_tensors", "torn", 2),
    "before the counters": fault("state_tensors", "kill-after", 2),
    "before the manifest": fault("seal", "kill", 2),
    **{f"before {name} is safe": fault("fsync", "kill", 2, name=name) for name in FILES},
    "before the manifest is written": fault("record", "kill", 2, name="MANIFEST.json"),
    "before the manifest has its name": fault("replace", "kill", 2, name="MANIFEST.json"),
    "before the first rename": fault("rename", "kill", 1),
    "before the rename": fault("rename", "kill", 2),
    "before the name is safe": fault("fsync_folder", "kill", 2, name="checkpoints"),
    "before the first pointers": fault("tag", "kill", 1),
    "before the pointers": fault("tag", "kill", 2),
    "before the pointers have their name": fault("replace", "kill", 2, name="pointers.json"),
    "after the pointers": fault("tag", "kill-after", 2),
    "before the rotation": fault("rotate", "kill", 2),
    "before an old one goes": fault("remove", "kill", 1),
    "while an old one goes": fault("unlink", "kill", 1, name="model.safetensors"),
    "when an old one is gone": fault("remove", "kill-after", 1),
    "after the rotation": fault("rotate", "kill-after", 2),
    "after all of it": fault("checkpoint", "kill-after", 2),
}
END = {
    "before the last weights are read": fault("whole_loss", "kill"),
    "after they are measured": fault("whole_loss", "kill-after"),
    "within the final evaluation's line": fault("append", "torn", has='"whole":true'),
    "after the final evaluation's line": fault("append", "kill-after", has='"whole":true'),
    "before the final sample": fault("sample", "kill", 3),
    "within the final sample's line": fault("append", "torn", 3, has='"kind":"sample"'),
    "after the final sample": fault("sample", "kill-after", 3),
    "before the publication": fault("publish", "kill"),
    "before its name is written down": fault("note_publication", "kill"),
    "after its name is written down": fault("note_publication", "kill-after"),
    "before the model has its name": fault("put", "kill"),
    "after the model has its name": fault("put", "kill-after"),
    "before the diary": fault("diary", "kill"),
    "after the diary": fault("diary", "kill-after"),
    "after the publication": fault("publish", "kill-after"),
    "within the end's line": fault("append", "torn", has='"kind":"end"'),
    "after the end's line": fault("append", "kill-after", has='"kind":"end"'),
    "before the last status": fault("end", "kill"),
    "after the last status": fault("end", "kill-after"),
    "before the lock is let go": fault("unlock", "kill"),
}
RESUMING = {
    "before leftovers are cleaned": fault("clean", "kill"),
    "after leftovers are cleaned": fault("clean", "kill-after"),
    "before the state is read": fault("read_state", "kill"),
    "before the state is loaded": fault("load", "kill"),
    "after the state is loaded": fault("load", "kill-after"),
}
PLACES: dict[str, Fault] = {**STEP, **METRICS, **CHECKPOINT, **END}
QUICK = (
    "between masters and network",
    "before the pointers have their name",
    "after the final evaluation's line",
    "after the model has its name",
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A home that all of this module share, with the run that nobody killed."""
    scene = Scene(tmp_path_factory.mktemp("stage"))
    reference = scene.begin(tiny(scene.text, **EVERYTHING), "reference")
    assert scene.train_forked(reference) == 0, last_words(reference)
    yield scene
    scene.end_all()


def reference_of(stage: Scene, name: str = "reference") -> Run:
    return RunStore(stage.home / "runs").open(name)


def kill_and_resume(stage: Scene, run: Run, *faults: Fault) -> None:
    """A trainer with each fault, the first of which it must meet; then one without, if there is anything left to do."""
    witness = Witness(run, stage.home)
    for number, at in enumerate(faults):
        if number and run.effective_state() == "finished":
            return
        code = stage.train_forked(run, at)
        assert code == -signal.SIGKILL or (number and code == 0), f"{code}: {last_words(run)}"
        witness.look()
    if run.effective_state() != "finished":
        assert stage.train_forked(run) == 0, last_words(run)
        witness.look()


@pytest.mark.parametrize("place", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in PLACES])
def test_killed_at_a_place_and_there_again_a_run_ends_as_if_it_had_not_been(stage: Scene, place: str) -> None:
    run = stage.begin(tiny(stage.text, **EVERYTHING), f"run-{list(PLACES).index(place):03d}")
    at = PLACES[place]
    again = {**at, "step": 7} if "step" in at else {**at, "call": 1}
    kill_and_resume(stage, run, at, again)
    ended_in_good_order(run, stage.home)
    assert differences(run, reference_of(stage), stage.home) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", RESUMING)
def test_killed_while_it_resumes_and_there_again_a_run_ends_as_if_it_had_not_been(stage: Scene, place: str) -> None:
    run = stage.begin(tiny(stage.text, **EVERYTHING), f"resuming-{list(RESUMING).index(place):03d}")
    kill_and_resume(stage, run, fault("gradients", "kill", 8), RESUMING[place], RESUMING[place])
    ended_in_good_order(run, stage.home)
    assert differences(run, reference_of(stage), stage.home) == []


LR_STEP = 7
"""Of the completed steps, the one after which the learning rate is halved: no checkpoint is due there."""
COMMAND = {
    "read": fault("read_command", "kill-after"),
    "begun": fault("carry_out", "kill"),
    "within the mark": fault("append", "torn", has="lr_scale"),
    "marked": fault("set_lr", "kill-after"),
    "its checkpoint not in place": fault("rename", "kill", name=f"step-{LR_STEP:06d}"),
    "its checkpoint in place": fault("rename", "kill-after", name=f"step-{LR_STEP:06d}"),
    "acted": fault("acknowledge", "kill"),
    "within the answer": fault("append", "torn", has='"outcome"'),
    "answered": fault("append", "kill-after", has='"outcome"'),
    "its file removed": fault("remove_command", "kill-after"),
}


def halve_the_learning_rate(stage: Scene, run: Run, *faults: Fault) -> tuple[int, str]:
    """Train with it; returns the exit code and the command."""
    process = stage.fork(run, hold(LR_STEP - 1), *faults)
    wait_held(run, LR_STEP - 1)
    sent = run.send("set_lr", {"factor": 0.5})
    release(run, LR_STEP - 1)
    return process.wait(), sent


@pytest.mark.parametrize("at", [at if at == "acted" else pytest.param(at, marks=pytest.mark.slow) for at in COMMAND])
def test_a_command_is_answered_once_and_what_the_answer_says_is_what_became_of_it(stage: Scene, at: str) -> None:
    """Killed there, and again while the next trainer answers for the dead one."""
    config = tiny(stage.text, **EVERYTHING)
    if not (stage.home / "runs" / "halved").exists():
        assert halve_the_learning_rate(stage, stage.begin(config, "halved"))[0] == 0
    run = stage.begin(config, f"command-{list(COMMAND).index(at):03d}")
    witness = Witness(run, stage.home)
    code, sent = halve_the_learning_rate(stage, run, COMMAND[at])
    assert code == -signal.SIGKILL, last_words(run)
    witness.look()
    kill_and_resume(stage, run)
    witness.look()
    ended_in_good_order(run, stage.home)
    (ack,) = (ack for ack in AckReader(run.folder).poll() if ack.id == sent)
    reference = "halved" if ack.outcome == "done" else "reference"
    assert differences(run, reference_of(stage, reference), stage.home) == []
    lasting = ("its checkpoint in place", "acted", "within the answer", "answered", "its file removed")
    assert ack.outcome == ("done" if at in lasting else "refused"), ack.message


SAVE = {
    "before the model has its name": fault("put", "kill"),
    "after the model has its name": fault("put", "kill-after"),
    "after the diary": fault("diary", "kill-after"),
    "within the mark": fault("append", "torn", has="saved as model"),
    "before the answer": fault("acknowledge", "kill"),
}


@pytest.mark.parametrize(
    "at", [at if at.startswith("after the model") else pytest.param(at, marks=pytest.mark.slow) for at in SAVE]
)
def test_a_model_that_was_asked_for_is_there_exactly_where_the_answer_says_so(stage: Scene, at: str) -> None:
    name = f"kept-{list(SAVE).index(at)}"
    run = stage.begin(tiny(stage.text, **EVERYTHING), f"save-{list(SAVE).index(at)}")
    process = stage.fork(run, hold(LR_STEP - 1), SAVE[at])
    wait_held(run, LR_STEP - 1)
    sent = run.send("save", {"name": name})
    release(run, LR_STEP - 1)
    assert process.wait() == -signal.SIGKILL, last_words(run)
    kill_and_resume(stage, run)
    (ack,) = (ack for ack in AckReader(run.folder).poll() if ack.id == sent)
    done = not at.startswith("before the model")
    assert (ack.outcome, ack.step) == (("done", LR_STEP) if done else ("refused", None)), ack.message
    assert (name in stage.models()) == done
    assert (stage.home / "notes.txt").read_text(encoding="utf-8").count(f"{name}") == done
    ended_in_good_order(run, stage.home)
    assert differences(run, reference_of(stage), stage.home) == []


@pytest.mark.slow
def test_a_trainer_killed_while_it_answers_for_a_dead_one_is_answered_for_by_the_next(stage: Scene) -> None:
    run = stage.begin(tiny(stage.text, **EVERYTHING), "answering")
    _, sent = halve_the_learning_rate(stage, run, COMMAND["acted"])
    kill_and_resume(stage, run, COMMAND["within the answer"], COMMAND["answered"])
    (ack,) = AckReader(run.folder).poll()
    assert (ack.id, ack.outcome, ack.step) == (sent, "done", LR_STEP)
    ended_in_good_order(run, stage.home)
    assert differences(run, reference_of(stage, "halved"), stage.home) == []
