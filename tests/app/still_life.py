"""A home in which nothing depends on clock, machine or luck: what the pictures of the tabs are taken of."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from tui_gpt.core.chat_history import Answered, ChatHistory, Reply, Said
from tui_gpt.core.config import RunConfig, to_dict
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import CorpusRecord, ModelRecord, SampleRecord, TokenizerRecord
from tui_gpt.core.presets import PRESETS
from tui_gpt.core.runs.metrics import MetricsWriter
from tui_gpt.core.runs.records import (
    EXECUTION_FILE,
    STATUS_FILE,
    DataRecord,
    ExecutionRecord,
    RunRecord,
    State,
    Status,
    write_record,
)
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.ui.memory import Memory, encode_memory, write_memory

DEVICE = "a CPU of two cores"
STEPS = 900
SAMPLES = {
    10: "ee t hhen,\noth  sr wtoaee,d ne hie ms",
    100: "The the thour mand the sore,\nAnd whe me the ther of the so me hath",
    400: "What shall the common of the world,\nAnd so the king that thou hast done to me",
    900: "What is the matter, that you have been so long?\nThe king hath sent me for your grace's hand.",
}
CONVERSATION = (
    ("One day", ", Tilly went to the pond with Ben. The sun was out, and a frog sat on a stone."),
    ("Then a storm came.", ' "Quick!" said Ben. They ran under the old oak and waited. Soon it was quiet again.'),
)


def furnish() -> None:
    """Fill the home that TUI_GPT_HOME names: three runs, two models, a conversation."""
    _run("bard", "finished", "2026-03-04T10:00:00.000Z", STEPS)
    _run("bard-fork", "interrupted", "2026-03-03T10:00:00.000Z", 420)
    _run("fables", "stopped", "2026-03-02T10:00:00.000Z", 310)
    _model("bard", corpus="tinyshakespeare.txt", val_loss=1.4382, created="2026-03-04T10:05:00.000Z")
    _model("fables", corpus="fables.txt", val_loss=1.7213, created="2026-03-02T11:00:00.000Z", parent="bard")


def open_at(tab: str, *, theme: str) -> None:
    """What the app finds of an earlier start: this tab, and nothing that another picture left."""
    history = ChatHistory()
    number = history.begin(ModelRef(kind="model", name="stories"))
    for said, answered in CONVERSATION:
        history.append(number, Said(said=said, joint="\n" if said != CONVERSATION[0][0] else ""))
        history.append(number, Answered(replies=[_reply(answered)]))
    chat = {"model": {"kind": "model", "name": "stories"}, "conversation": number}
    write_memory(encode_memory(Memory(tab=tab, theme=theme, run="bard", tabs={"chat": chat})))


def _reply(text: str) -> Reply:
    return Reply(
        text=text, title="stories", seed=7, tokens=24, seconds=0.06, first_token_seconds=0.012, reason="length"
    )


def _config() -> RunConfig:
    config = build_config(("preset", PRESETS["quick"].tree), ("corpus", {"data": {"corpus": "tinyshakespeare.txt"}}))
    return msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, vocab_size=65))


def _run(name: str, state: State, created: str, steps: int) -> None:
    record = RunRecord(
        name=name,
        created=created,
        config=_config(),
        versions={"tui-gpt": "0"},
        data=DataRecord(
            corpus="tinyshakespeare.txt",
            source="tinyshakespeare.txt",
            sha256="5e" * 32,
            tokenizer="char",
            vocab_size=65,
            n_train_tokens=1_003_854,
            n_validation_tokens=111_540,
            train_bytes=1_003_854,
            validation_bytes=111_540,
            prepared="none",
        ),
    )
    run = RunStore().create(record)
    write_record(
        run.folder / EXECUTION_FILE,
        ExecutionRecord(device="cpu", device_name=DEVICE, precision="bf16", compile=False, threads=2),
    )
    best = _metrics(run, steps, ended=state == "finished")
    # Without a trainer, what still says "running" is a run that was interrupted.
    shown: State = "running" if name.endswith("fork") else state
    write_record(
        run.folder / STATUS_FILE,
        Status(
            state=shown,
            step=steps,
            progress=steps / STEPS,
            updated=1.0,
            train_loss=_loss(steps),
            val_loss=best,
            best_val_loss=best,
            best_step=steps,
            learning_rate=0.0001,
            tokens_per_second=18_250.0,
            elapsed_seconds=0.2 * steps,
            memory_bytes=861_000_000,
            device=DEVICE,
        ),
    )


def _loss(step: int) -> float:
    """A curve as training draws them, with the noise of a sine that no period of the plot shares."""
    return 1.25 + 2.9 * math.exp(-step / 70) + 0.35 * math.exp(-step / 600) + 0.05 * math.sin(step * 12.9898)


def _metrics(run: Run, steps: int, *, ended: bool) -> float:
    val_loss = math.nan
    evaluated = sorted({10, 40, 100, *range(100, steps + 1, 100), steps})
    with MetricsWriter(run.folder, 0, {"elapsed": 0.0}) as writer:
        for step in range(1, steps + 1):
            writer.write(
                "train",
                step,
                {
                    "loss": _loss(step),
                    "learning_rate": 0.004 * min(1.0, step / 20) * min(1.0, (STEPS + 1 - step) / (0.7 * STEPS)),
                    "grad_norm": 0.6 + 2.5 * math.exp(-step / 40) + 0.1 * math.cos(step * 78.233),
                    "tokens": step * 4096,
                    "elapsed": 0.2 * step,
                    "tokens_per_second": 18_000.0 + 500.0 * math.sin(step / 50),
                    "memory": 800_000_000 + 61_000_000 * min(step, 90) // 90,
                },
            )
            if step in evaluated:
                val_loss = _loss(step) + 0.08
                values = {"val_loss": val_loss, "bits_per_byte": val_loss / math.log(2), "elapsed": 0.2 * step}
                writer.write("eval", step, {**values, "tokens": 32_768, "whole": step == steps, "best": True})
                text = SAMPLES[max((s for s in SAMPLES if s <= step), default=10)]
                writer.write("sample", step, {"prompt": "ROMEO:\n", "text": text, "seed": 1337})
            if step == 250:
                writer.write("mark", step, {"event": "paused"})
                writer.write("mark", step, {"event": "resumed"})
        if ended:
            writer.write("end", steps, {"reason": "trained to the end", "model": run.name})
    return val_loss


def _model(name: str, *, corpus: str, val_loss: float, created: str, parent: str | None = None) -> None:
    def write(folder: Path) -> None:
        config = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 65}
        (folder / "config.json").write_bytes(msgspec.json.encode(config))
        (folder / "model.safetensors").write_bytes(b"weights" * 1000)

    ModelHandler().save(
        name,
        write,
        ModelRecord(
            name=name,
            created=created,
            family="qwen3",
            n_parameters=1_981_000,
            config=to_dict(_config()),
            tokenizer=TokenizerRecord(kind="char", vocab_size=65),
            corpus=CorpusRecord(source=corpus, sha256="5e" * 32),
            steps=STEPS,
            tokens_seen=STEPS * 4096,
            seconds=180.0,
            device=DEVICE,
            train_loss=val_loss - 0.1,
            val_loss=val_loss,
            best_val_loss=val_loss,
            bits_per_byte=val_loss / math.log(2),
            parent=parent,
            sample=SampleRecord(text=SAMPLES[900], prompt="ROMEO:\n", seed=1337),
            notes="the first one worth keeping" if parent is None else "",
        ),
    )
