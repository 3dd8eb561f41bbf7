"""Writing on this machine's processor, one text at a time: this program, transformers and llama.cpp, in turns.

python -m benchmarks generation
python -m benchmarks generation 10m --temperature 0.8 --top-k 40 --rounds 9

Models have random weights, which cost as much as learned ones. What counts are tokens per second between the first
token and the last, after a prompt of 32 tokens; of each peer every setting is tried, with as many threads as suit it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.interleaved import Contender, ratio, take_turns
from benchmarks.machine import described, memory_bandwidth
from tui_gpt.core.config import ModelConfig
from tui_gpt.core.locations import HOME_VARIABLE
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.engine.cores import physical_threads
from tui_gpt.engine.interop.huggingface import write_model_folder
from tui_gpt.engine.network import build_network
from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.tokenizer import END_OF_TEXT

_PROMPT = [(7 * number) % 251 for number in range(32)]
_SHAPES: dict[str, dict[str, Any]] = {
    "10m": {"family": "gpt2", "n_layer": 6, "n_embd": 384, "n_head": 6, "n_positions": 256, "vocab_size": 257},
    "qwen3-10m": {
        "family": "qwen3",
        "n_layer": 6,
        "n_embd": 384,
        "n_head": 6,
        "n_positions": 256,
        "vocab_size": 257,
        "tie_word_embeddings": False,
    },
    "gpt2": {"family": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024, "vocab_size": 50257},
    "qwen3-120m": {
        "family": "qwen3",
        "n_layer": 12,
        "n_embd": 768,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    },
}
_BYTES = {"float32": 4, "bf16": 2, "int8": 1, "f32": 4, "f16": 2, "q8_0": 34 / 32}
"""That a weight takes."""


def _tokenizer(vocab_size: int) -> BpeTokenizer:
    """Single bytes, as many pairs of them as are missing, and the end of a text."""
    pairs = [bytes((first, second)) for first in range(256) for second in range(256)]
    tokens = [bytes((byte,)) for byte in range(256)] + pairs[: vocab_size - 257]
    return BpeTokenizer(tokens, specials={END_OF_TEXT: vocab_size - 1})


def _save(name: str, model: ModelConfig) -> None:
    """A model with random weights, in the library, as one that was trained."""
    network, tokenizer = build_network(model, 1), _tokenizer(model.vocabulary)
    ModelHandler().save(
        name,
        lambda folder: write_model_folder(folder, network, model, tokenizer),
        ModelRecord(name=name, family=model.family, license="mit"),
    )


def _contenders(name: str, options: dict[str, Any], home: Path) -> list[Contender]:
    of = "benchmarks.contenders."
    found = [
        Contender(f"tui-gpt {precision}", of + "own_generation", options | {"precision": precision})
        for precision in ("float32", "bf16", "int8")
    ]
    for precision in ("float32", "bf16"):
        for cache, compiled in (("dynamic", False), ("static", False), ("static", True)):
            more = {"precision": precision, "cache": cache, "compiled": compiled}
            title = f"transformers {precision}, {cache} cache" + (", compiled" if compiled else "")
            found.append(Contender(title, of + "transformers_generation", options | more))
    if importlib.util.find_spec("llama_cpp") is None:
        print("llama.cpp is left out, because llama-cpp-python is not installed: pip install llama-cpp-python gguf")
        return found
    from tui_gpt.engine.interop.gguf_file import TYPES, write_gguf

    for kind in TYPES:
        file = home / f"{name}-{kind}.gguf"
        write_gguf(name, file, kind)
        more = {"file": str(file), "precision": kind}
        found.append(Contender(f"llama.cpp {kind}", of + "llama_cpp_generation", options | more))
    return found


def _weights_read(model: ModelConfig) -> int:
    """Numbers of which a token needs all: every matrix, the head among them, but of the embeddings only a row."""
    network = build_network(model, 1)
    embeddings = [network.position_embedding] if network.position_embedding is not None else []
    if network.head is not None:
        embeddings.append(network.token_embedding)
    return network.count_parameters() - sum(each.weight.numel() for each in embeddings)


def compare(name: str, arguments: argparse.Namespace, home: Path) -> None:
    """One model, written with by all; a table with medians."""
    model = ModelConfig(**_SHAPES[name])
    _save(name, model)
    options = {
        "model": name,
        "prompt": _PROMPT,
        "tokens": arguments.tokens,
        "temperature": arguments.temperature,
        "top_k": arguments.top_k,
    }
    wanted = [c for c in _contenders(name, options, home) if any(part in c.name for part in arguments.only or [""])]
    take_turns(wanted, arguments.rounds)
    done = [each for each in wanted if each.rounds and not each.failure]
    theirs = [each for each in done if each.name.startswith("transformers")]
    best = max(theirs, key=lambda each: each.median, default=None)
    bandwidth, numbers = memory_bandwidth(), _weights_read(model)
    print(f"\n{name}: {numbers / 1e6:.1f} M weights read for a token; memory bandwidth {bandwidth / 1e9:.1f} GB/s")
    print(f"{'':<46}{'tokens/s':>9}{'spread':>8}{'threads':>8}{'of bandwidth':>13}  over the best of transformers")
    for each in wanted:
        if each not in done:
            print(f"{each.name:<46}{each.failure}")
            continue
        share = each.median * numbers * _BYTES[each.options["precision"]] / bandwidth
        over = "" if best is None else f"{ratio(each, best):.2f}"
        print(f"{each.name:<46}{each.median:>9,.0f}{each.spread:>8.1%}{each.notes['threads']:>8}{share:>13.0%}  {over}")


def main() -> None:
    """Every model that was named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=", ".join(_SHAPES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=128, help="that each round writes")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--only", nargs="*", metavar="PART", help="contenders with one of these in their names")
    arguments = parser.parse_args()
    for name in arguments.models:
        if name not in _SHAPES:
            parser.error(f"there is no model named {name}; there are {', '.join(_SHAPES)}")
    torch.set_num_threads(physical_threads())
    print(described())
    for name in arguments.models or _SHAPES:
        with tempfile.TemporaryDirectory() as home:
            os.environ[HOME_VARIABLE] = home
            compare(name, arguments, Path(home))


if __name__ == "__main__":
    main()
