"""A model that answers, in a library: the example model with the tokens that conversations need, untrained in them."""

from __future__ import annotations

from pathlib import Path

from tui_gpt.core.locations import example_models_dir
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord


def save_chat_model(name: str = "talker") -> Path:
    """Put it into the library of TUI_GPT_HOME; its folder."""
    import msgspec

    from tui_gpt.engine.interop.huggingface import read_model_folder, write_model_folder
    from tui_gpt.engine.network.growing import grow_vocabulary
    from tui_gpt.engine.text.dialogues.chat_format import with_chat

    loaded = read_model_folder(example_models_dir() / "stories")
    tokenizer = with_chat(loaded.tokenizer)
    weights = {key: parameter.detach() for key, parameter in loaded.network.named_parameters()}
    grown = grow_vocabulary(weights, loaded.tokenizer.vocab_size, tokenizer.vocab_size, 1)
    model = msgspec.structs.replace(loaded.config, vocab_size=tokenizer.vocab_size)
    record = ModelRecord(name=name, family=model.family, n_parameters=loaded.network.count_parameters())
    entry = ModelHandler().save(name, lambda folder: write_model_folder(folder, grown, model, tokenizer), record)
    return entry.folder
