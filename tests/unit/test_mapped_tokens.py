"""Tokens read from a file are those in it, and the file does not become a part of the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tui_gpt.engine.text.mapped_tokens import MappedTokens, let_go


def test_what_is_picked_is_what_lies_there(tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    ids = np.random.default_rng(0).integers(0, 60_000, 100_000).astype("<u2")
    path.write_bytes(ids.tobytes())
    tokens = MappedTokens.of(path, "uint16", len(ids))
    for _ in range(2):
        places = np.random.default_rng(1).integers(0, len(ids) - 65, 50)[:, None] + np.arange(65)
        picked = tokens[places]
        assert type(picked) is np.ndarray
        assert np.array_equal(picked, ids[places])
        let_go(tokens)
        assert np.array_equal(tokens, ids)
        assert np.array_equal(tokens[100:300][50:], ids[150:300])
        assert tokens[7] == ids[7]
    let_go(ids)


PICKING = """
import sys
from pathlib import Path
import numpy as np
from tui_gpt.engine.text.mapped_tokens import MappedTokens
n = 50_000_000
tokens = MappedTokens.of(Path(sys.argv[1]), "uint16", n)
for begin in range(0, n - 3000, 1_000_000):
    tokens[np.arange(begin, begin + 1_000_000, 2048)[:, None] + np.arange(257)]
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_reading_all_over_a_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    before, after = (
        int(
            subprocess.run([sys.executable, "-c", source, str(path)], check=True, capture_output=True, text=True).stdout
        )
        for source in (PICKING.replace("n - 3000", "1"), PICKING)
    )
    assert after - before < 30_000, "in kilobytes, of a file of 100,000"
