"""The token file of a text, as the preparation makes it; a round gives its megabytes (1e6 bytes) per second."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.contenders import texts
from benchmarks.interleaved import serve
from tui_gpt.engine.text.token_files import TokenFileWriter
from tui_gpt.engine.text.tokenizer_files import load_tokenizer


def _build(options: dict[str, Any]) -> Callable[[], float]:
    os.sched_setaffinity(0, range(options["cores"]))
    documents = texts.documents(options["text"])
    n_bytes = texts.size(documents)

    def turn() -> float:
        # A new one each time: what it learned of the text in the last round would not be known in a preparation.
        tokenizer = load_tokenizer(Path(options["tokenizer"]))
        with (
            tempfile.TemporaryDirectory(prefix="tui-gpt-") as folder,
            ThreadPoolExecutor(options["cores"]) as pool,
        ):
            began = time.perf_counter()
            writer = TokenFileWriter(Path(folder) / "tokens", tokenizer, pool, options["cores"])
            for document in documents:
                writer.write(document)
                writer.end_document()
            writer.close()
            return n_bytes / (time.perf_counter() - began) / 1e6

    return turn


if __name__ == "__main__":
    serve(_build)
