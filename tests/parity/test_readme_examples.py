"""README's example, word for word: trained here, then used in transformers and in llama.cpp."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HEADING = "## In transformers and llama.cpp"


class Stranger:
    """Somebody who pastes blocks of README.md in a folder of their own, with the program on the PATH."""

    def __init__(self, folder: Path) -> None:
        # Not resolved: the interpreter of a virtual environment is a link to one elsewhere.
        programs = Path(sys.executable).parent
        if shutil.which("tui-gpt", path=str(programs)) is None:
            pytest.skip("tui-gpt is not installed here; `pip install -e .` installs this checkout")
        self.folder = folder
        self.environment = os.environ | {
            "TUI_GPT_HOME": str(folder / "home"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        section = text.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
        assert [language for language, _ in blocks] == ["sh", "python", "sh", "python"], f"not as expected: {HEADING}"
        self.train, self.transformers, self.gguf, self.llama_cpp = (block for _, block in blocks)

    def sh(self, block: str) -> str:
        return self._run(["sh", "-e", "-c", block])

    def python(self, block: str, *more_modules: Path) -> str:
        path = os.pathsep.join([*map(str, more_modules), *filter(None, [os.environ.get("PYTHONPATH")])])
        return self._run(["python", "-c", block], PYTHONPATH=path)

    def _run(self, command: list[str], **more: str) -> str:
        environment = self.environment | more
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def lines(block: str) -> list[str]:
    return [line for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """With the model trained."""
    stranger = Stranger(tmp_path_factory.mktemp("elsewhere"))
    stranger.sh(stranger.train)
    return stranger


@pytest.mark.slow
def test_the_examples_have_one_line_to_train_and_three_for_each_use(stranger: Stranger) -> None:
    uses = [stranger.transformers, stranger.gguf + stranger.llama_cpp]
    assert [len(lines(block)) for block in (stranger.train, *uses)] == [1, 3, 3]


@pytest.mark.slow
def test_the_lines_for_transformers_write_text(stranger: Stranger) -> None:
    written = stranger.python(stranger.transformers)
    assert written.startswith("One day") and len(written) > 40


@pytest.mark.slow
@pytest.mark.timeout(1800)  # it may wait for the build
def test_the_lines_for_llama_cpp_write_text(stranger: Stranger, llama_cpp: Any) -> None:
    stranger.sh(stranger.gguf)
    written = stranger.python(stranger.llama_cpp, Path(llama_cpp.__file__).parent.parent)
    assert len(written.strip()) > 20
