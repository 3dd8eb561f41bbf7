"""A model to be saved without any training: what its record says, and its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_gpt.core.config import RunConfig, TrainConfig, to_dict
from tui_gpt.core.model_record import CorpusRecord, CurvePoint, ModelRecord, SampleRecord, TokenizerRecord

RECORD = ModelRecord(
    name="anything",
    family="gpt2",
    n_parameters=1_803_840,
    config=to_dict(RunConfig(train=TrainConfig(max_minutes=3.0))),
    tokenizer=TokenizerRecord(kind="bpe", vocab_size=1024),
    corpus=CorpusRecord(source="fables.txt", sha256="ab" * 32),
    steps=592,
    tokens_seen=2_424_832,
    seconds=170.2,
    device="cpu",
    train_loss=1.41234567890123,
    val_loss=1.53,
    best_val_loss=1.52,
    bits_per_byte=2.2,
    curve=[CurvePoint(step=10, val_loss=3.1339), CurvePoint(step=592, val_loss=1.53)],
    sample=SampleRecord(text=" there was a fox.", prompt="Once", seed=7),
)


def writer(weights: bytes = b"weights") -> Callable[[Path], None]:
    """Writes the files of a model into its folder, as `ModelHandler.save` asks for it; no tensor is in them."""

    def write(folder: Path) -> None:
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
        (folder / "model.safetensors").write_bytes(weights)

    return write
