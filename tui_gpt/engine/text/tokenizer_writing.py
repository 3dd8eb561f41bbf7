"""`tokenizer.json` and `tokenizer_config.json`, written so that every reader finds what it looks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tui_gpt.core import files

TOKENIZER_FILE = "tokenizer.json"
CONFIGURATION_FILE = "tokenizer_config.json"
TEMPLATE_FILE = "chat_template.jinja"
"""Where others have the template that here stands in the configuration."""

# Names of Python classes and code that a foreign configuration may ask transformers to run.
_DROPPED_KEYS = {"auto_map", "custom_pipelines"}


def write_tokenizer(folder: Path, text: str, configuration: Mapping[str, Any], model_max_length: int | None) -> None:
    """Write both files. `configuration` is added to, or overrides, what every tokenizer here states."""
    stated: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{key: value for key, value in configuration.items() if key not in _DROPPED_KEYS},
    }
    if model_max_length is not None:
        stated["model_max_length"] = model_max_length
    files.write_text(folder / TOKENIZER_FILE, text)
    files.write_text(folder / CONFIGURATION_FILE, json.dumps(stated, indent=2, ensure_ascii=False) + "\n")
