"""Encoding a text with a BPE of its own: megabytes per second of the preparation over `tokenizers`' encode_batch.

python -m benchmarks preparation
python -m benchmarks preparation --texts python --vocabulary 32768

Both have the same tokenizer, made anew for each round so that it knows nothing of the text, the same documents and the
same cores. The preparation does more: it looks for places to cut, counts bytes, hashes the tokens and writes them to a
file. encode_batch also finds where each token stands; `encode_batch_fast`, which does not, is told as well.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.contenders import texts
from benchmarks.interleaved import Contender, ratio, take_turns
from benchmarks.machine import described
from tui_gpt.core.config import DataConfig
from tui_gpt.engine.text.bpe_training import train_bpe

LEAST = 1.5
AIM = 3.0
_LEARNED_CHARACTERS = 8_000_000


def main() -> int:
    """Print a table; 1 where a ratio is below LEAST."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", choices=texts.names(), default=texts.names())
    parser.add_argument("--vocabulary", type=int, default=DataConfig().bpe_vocab_size)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(described())
    print(
        f"{'text':<17}{'MB':>5}{'cores':>7}{'preparation':>16}{'encode_batch':>16}{'ratio':>7}{'_fast':>14}{'ratio':>7}"
    )
    worst = float("inf")
    for name in arguments.texts:
        with tempfile.TemporaryDirectory(prefix="tui-gpt-") as folder:
            documents = texts.documents(name)
            _learn(documents, arguments.vocabulary, Path(folder))
            for cores in sorted({1, os.cpu_count() or 1}):
                found = _compared(name, folder, cores, arguments.rounds)
                if failed := next((each for each in found if each.failure), None):
                    print(f"{failed.name} failed: {failed.failure}")
                    return 1
                ours, batch, fast = found
                worst = min(worst, ratio(ours, batch))
                print(
                    f"{name:<17}{texts.size(documents) / 1e6:>5.1f}{cores:>7}{_figure(ours):>16}"
                    f"{_figure(batch):>16}{ratio(ours, batch):>7.1f}{_figure(fast):>14}{ratio(ours, fast):>7.1f}"
                )
    print(f"MB/s, medians of {arguments.rounds} rounds; at least {LEAST} times encode_batch, aim {AIM}")
    return 0 if worst >= LEAST else 1


def _learn(documents: list[str], vocabulary: int, folder: Path) -> None:
    learned = 0
    few = []
    for document in documents:
        few.append(document)
        learned += len(document)
        if learned >= _LEARNED_CHARACTERS:
            break
    train_bpe(few, vocabulary).save(folder)


def _compared(text: str, tokenizer: str, cores: int, rounds: int) -> list[Contender]:
    options = {"text": text, "tokenizer": tokenizer, "cores": cores}
    found = [
        Contender("the preparation", "benchmarks.contenders.preparing", options),
        *(
            Contender(method, "benchmarks.contenders.encode_batch", options | {"method": method})
            for method in ("encode_batch", "encode_batch_fast")
        ),
    ]
    take_turns(found, rounds)
    return found


def _figure(contender: Contender) -> str:
    return f"{contender.median:.1f} ± {contender.spread:.0%}"


if __name__ == "__main__":
    sys.exit(main())
