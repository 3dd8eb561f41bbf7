"""The model card, `README.md`: front matter as the Hub reads it, then what the model is and how to use it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from tui_gpt.core.corpora import hub_repository
from tui_gpt.core.model_record import ADAPTER_FOLDER, ModelRecord
from tui_gpt.core.notes import describe_model, describe_training
from tui_gpt.core.safe_text import safe_text

_OPENING = "A language model made with tui-gpt."
_SEAL = re.compile(
    r"<!-- tui-gpt wrote this card, and writes it anew as long as nobody changes it: [0-9a-f]{64} -->\n\Z"
)
# Of corpora of the catalogue; which language the text of a person is in, nobody has said.
_LANGUAGES = dict.fromkeys(("stories", "python-docs", "shakespeare", "tinystories", "wikitext-2"), "en")
_BASE_MODEL = re.compile(r"hub:([\w.-]+/[\w.-]+)(@[\w./-]+)?", re.ASCII)


def model_card(record: ModelRecord) -> str:
    """The card of a model, in Markdown. Foreign text in it (corpus, notes, sample) can change neither its structure nor
    a terminal that shows it."""
    text = "\n".join([*_front_matter(record), "", *_facts(record), "", *_use(record), *_sample(record), "", ""])
    return text + _seal(text, record)


def is_card_of(card: bytes, record: ModelRecord, sha256: str) -> bool:
    """Whether `model_card` made the card, in this version or an earlier one, and nobody has changed it since.

    `record` is that of the model whose card it is, and `sha256` what the card had when the model was saved.
    """
    try:
        text = card.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if seal := _SEAL.search(text):
        body = text[: seal.start()]
        return text == body + _seal(body, record)
    # The first version's cards carry no seal.
    return (
        hashlib.sha256(card).hexdigest() == sha256
        and text.startswith("---\nlanguage: en\nlibrary_name: transformers\npipeline_tag: text-generation\n")
        and f"\n# {record.name}\n\n{_OPENING}\n\n- Model: {describe_model(record)}\n" in text
    )


def _seal(text: str, record: ModelRecord) -> str:
    """A line that fits only this text and this record: a card that came along with somebody's weights is not ours."""
    digest = hashlib.sha256(f"{record.created}\n{text}".encode()).hexdigest()
    return f"<!-- tui-gpt wrote this card, and writes it anew as long as nobody changes it: {digest} -->\n"


def _front_matter(record: ModelRecord) -> Iterator[str]:
    """Keys as in the Hub's model card metadata, https://huggingface.co/docs/hub/model-cards: only what is known.

    `datasets` are those that lie on the Hub, by their ids there, as a `model-index` would need them.
    """
    yield "---"
    if record.corpus and (language := _language(record)):
        yield f"language: {language}"
    if datasets := list(dict.fromkeys(filter(None, map(hub_repository, _corpora(record))))):
        yield f"datasets: {json.dumps(datasets)}"
    yield from ("library_name: transformers", "pipeline_tag: text-generation")
    if record.license:
        # A JSON string is a YAML string, whatever is in it.
        yield f"license: {json.dumps(record.license)}"
    if record.parent and (base := _BASE_MODEL.fullmatch(record.parent)):
        yield f"base_model: {json.dumps(base[1])}"
    yield from ("tags:", "- tui-gpt", f"- {json.dumps(record.family)}", "---")


def _language(record: ModelRecord) -> str | None:
    """The one language of all that it was trained on, where that is known."""
    # A file of a person may be named like a built-in corpus; its setting is then a path, and the source just its name.
    names = _corpora(record)
    languages = {_LANGUAGES.get(name) for name in names}
    is_whole = len(names) > 1 or (record.corpus is not None and record.corpus.source == names[0])
    return languages.pop() if len(languages) == 1 and is_whole else None


def _corpora(record: ModelRecord) -> list[str]:
    """Names and paths of what it was trained on, as they were set."""
    return [str(_setting(record, "data", "corpus")), *(entry.rpartition("=")[0] for entry in _mix(record))]


def _mix(record: ModelRecord) -> list[str]:
    mix = _setting(record, "data", "mix")
    return [entry for entry in mix if isinstance(entry, str)] if isinstance(mix, list | tuple) else []


def _facts(record: ModelRecord) -> Iterator[str]:
    yield from (f"# {record.name}", "", _OPENING, "", f"- Model: {describe_model(record)}")
    if record.corpus is not None:
        what = "texts and shares" if _mix(record) else "text"
        yield f"- Trained on: {_code(record.corpus.source)} (SHA-256 of the {what}: {_code(record.corpus.sha256)})"
    if record.tokenizer is not None:
        yield f"- Tokenizer: {record.tokenizer.kind}, {record.tokenizer.vocab_size:,} tokens"
    if training := describe_training(record):
        yield f"- Training: {training}"
    yield from _losses(record)
    rank = _setting(record, "train", "lora_rank")
    if isinstance(rank, int) and rank:
        where = {"attention": "attention", "mlp": "MLPs"}.get(_setting(record, "train", "lora_targets"), "blocks")
        yield (
            f"- Adapters: only LoRA of rank {rank} beside the matrices of the {where} has learned; it is merged into "
            f"the weights, and lies in `{ADAPTER_FOLDER}/` for peft too"
        )
    if record.parent:
        yield f"- Parent: {_code(record.parent)}"
    if record.created:
        yield f"- Saved: {record.created}"
    if record.notes:
        yield from ("", *_block(record.notes))


def _losses(record: ModelRecord) -> Iterator[str]:
    if record.train_loss is not None:
        yield f"- Training loss: {record.train_loss:.4f} nats per token"
    if (loss := record.val_loss) is not None:
        perplexity = f", perplexity {math.exp(loss):.4g} per token" if loss < 700 else ""
        in_bits = "" if record.bits_per_byte is None else f", {record.bits_per_byte:.4f} bits per byte"
        yield f"- Validation loss: {loss:.4f} nats per token{perplexity}{in_bits}"
    if record.best_val_loss is not None and record.best_val_loss != record.val_loss:
        yield f"- Best validation loss on the way: {record.best_val_loss:.4f} nats per token"


def _use(record: ModelRecord) -> Iterator[str]:
    prompt, name = _prompt(record), record.name
    yield from ("## How to use it", "", f'transformers, with this folder\'s path in the place of "{name}":', "")
    answers = _answers(record)
    yield from ("```python", "from transformers import pipeline")
    if answers:
        yield f'chat = pipeline("text-generation", model="{name}")'
        yield f'messages = [{{"role": "user", "content": {_python_text(prompt)}}}]'
        yield f'print(chat(messages, max_new_tokens={_room(record, prompt)})[0]["generated_text"][-1]["content"])'
    else:
        yield f'write = pipeline("text-generation", model="{name}")'
        yield f'print(write({_python_text(prompt)}, max_new_tokens={_room(record, prompt)})[0]["generated_text"])'
    yield from ("```", "")
    in_shell = _shell_word(prompt)
    yield "tui-gpt (`tui-gpt models import`, with this folder's path, adds it to a library where it is not in yet):"
    yield from ("", "```sh", f"tui-gpt sample {name} --prompt {in_shell}", "```")
    # Readers of GGUF know byte-level BPE, and no tokenizer of single characters.
    if record.tokenizer is None or record.tokenizer.kind != "char":
        yield from ("", "llama.cpp, by way of a GGUF file (`pip install 'tui-gpt[gguf]'`):", "", "```sh")
        yield f"tui-gpt models gguf {name} --type f16 --output {name}.gguf"
        # Without its own interpreter of templates llama.cpp would take the nearest that it knows.
        yield from (f"llama-cli -m {name}.gguf {'--jinja' if answers else f'-no-cnv -p {in_shell}'}", "```")


def _prompt(record: ModelRecord) -> str:
    """Words that the tokenizer certainly knows, where such are known: to one of characters most texts are foreign."""
    told = _setting(record, "train", "sample_prompt")
    candidates = [told if isinstance(told, str) else ""]
    if record.sample is not None:
        candidates = [record.sample.prompt, *record.sample.text.split()[:1], *candidates]
    prompt = next(filter(None, candidates), "Once upon a time")
    return prompt.strip() or prompt if _answers(record) else prompt


def _answers(record: ModelRecord) -> bool:
    """Whether it has learned from conversations."""
    return bool(_setting(record, "data", "form") == "conversations")


def _room(record: ModelRecord, prompt: str) -> int:
    """New tokens that fit into the context after the prompt: beyond its positions a GPT-2 in transformers fails."""
    context = _setting(record, "model", "n_positions")
    most = 100
    # No tokenizer here makes more tokens than there are bytes; and around a message stand a few.
    around = 8 if _answers(record) else 0
    needed = len(prompt.encode(errors="replace")) + around
    return max(1, min(most, context - needed)) if isinstance(context, int) else most


def _setting(record: ModelRecord, section: str, name: str) -> Any:
    return (record.config or {}).get(section, {}).get(name)


def _python_text(text: str) -> str:
    """A string for Python, with everything escaped that a terminal would obey or not show: the code means the same."""
    named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(named.get(c) or (c if _is_plain(c) else f"\\U{ord(c):08x}") for c in text) + '"'


def _shell_word(text: str) -> str:
    """A word for bash and zsh, escaped in the same way where that is needed: $'...'."""
    if all(map(_is_plain, text)):
        return "'" + text.replace("'", "'\\''") + "'"
    named = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}
    # Byte by byte: the bash of macOS knows no other escape.
    return "$'" + "".join(named.get(c) or (c if _is_plain(c) else _bytes(c)) for c in text) + "'"


def _bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="replace"))


def _is_plain(character: str) -> bool:
    return character not in "\n\t" and safe_text(character) == character


def _sample(record: ModelRecord) -> Iterator[str]:
    if record.sample is None:
        return
    seed = "" if record.sample.seed is None else f" (seed {record.sample.seed})"
    what = "A question and its answer" if _answers(record) else "The prompt and its continuation"
    yield from ("", "## What it writes", "", f"{what}{seed}:", "")
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
