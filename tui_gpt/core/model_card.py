"""The model card, `README.md`: front matter as the Hub reads it, then what the model is and how to use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tui_gpt.core.model_record import ModelRecord
from tui_gpt.core.notes import describe_losses, describe_model, describe_training
from tui_gpt.core.safe_text import safe_text


def model_card(record: ModelRecord) -> str:
    """The card of a model, in Markdown. Foreign text in it (corpus, notes, sample) can change neither its structure nor
    a terminal that shows it."""
    return "\n".join([*_front_matter(record), "", *_facts(record), "", *_use(record), *_sample(record)]) + "\n"


def _front_matter(record: ModelRecord) -> Iterator[str]:
    """Keys as in the Hub's model card metadata, https://huggingface.co/docs/hub/model-cards."""
    yield from ("---", "language: en", "library_name: transformers", "pipeline_tag: text-generation")
    if record.license:
        # A JSON string is a YAML string, whatever is in it.
        yield f"license: {json.dumps(record.license)}"
    yield from ("tags:", "- tui-gpt", f"- {json.dumps(record.family)}", "---")


def _facts(record: ModelRecord) -> Iterator[str]:
    yield f"# {record.name}"
    yield ""
    yield "A language model made with tui-gpt."
    yield ""
    yield f"- Model: {describe_model(record)}"
    if record.corpus is not None:
        yield f"- Trained on: {_code(record.corpus.source)} (SHA-256 of the text: {_code(record.corpus.sha256)})"
    if record.tokenizer is not None:
        yield f"- Tokenizer: {record.tokenizer.kind}, {record.tokenizer.vocab_size:,} tokens"
    if training := describe_training(record):
        yield f"- Training: {training}"
    if losses := describe_losses(record):
        yield f"- Loss in nats per token: {losses}"
    if record.parent:
        yield f"- Parent: {_code(record.parent)}"
    if record.created:
        yield f"- Saved: {record.created}"
    if record.notes:
        yield from ("", *_block(record.notes))


def _use(record: ModelRecord) -> Iterator[str]:
    prompt = safe_text(record.sample.prompt if record.sample else "", newlines=False) or "Once upon a time"
    yield from ("## How to use it", "", "transformers, with this folder's path:", "")
    yield from (
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        f'tokenizer, model = (cls.from_pretrained("{record.name}") for cls in (AutoTokenizer, AutoModelForCausalLM))',
        f'ids = tokenizer({json.dumps(prompt, ensure_ascii=False)}, return_tensors="pt").input_ids',
        "print(tokenizer.decode(model.generate(ids, max_new_tokens=100, do_sample=True)[0]))",
        "```",
        "",
    )
    shell_prompt = "'" + prompt.replace("'", "'\\''") + "'"
    yield from ("tui-gpt:", "", "```sh", f"tui-gpt sample {record.name} --prompt {shell_prompt}", "```")
    # Readers of GGUF know byte-level BPE, and no tokenizer of single characters.
    if record.tokenizer is None or record.tokenizer.kind != "char":
        command = f"llama-cli -m {record.name}.gguf -no-cnv -p {shell_prompt}"
        yield from ("", "llama.cpp, once this folder is converted to a GGUF file:", "", "```sh", command, "```")


def _sample(record: ModelRecord) -> Iterator[str]:
    if record.sample is None:
        return
    seed = "" if record.sample.seed is None else f" (seed {record.sample.seed})"
    yield from ("", "## What it writes", "", f"The prompt and its continuation{seed}:", "")
    yield from _block(record.sample.prompt + record.sample.text)


def _code(text: str) -> str:
    """Inline code that no back-tick in `text` can end."""
    plain = safe_text(text, newlines=False)
    fence = "`" * (_longest_run(plain) + 1)
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _block(text: str) -> Iterator[str]:
    """A code block that nothing in `text` can end."""
    plain = safe_text(text)
    fence = "`" * max(3, _longest_run(plain) + 1)
    yield from (f"{fence}text", plain, fence)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
