"""A name is one plain folder name, or it is refused in one sentence by every command, and nothing anywhere changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import call, everything
from hypothesis import given, settings
from hypothesis import strategies as st
from training_runs import Scene, tiny

from tui_gpt.cli import cli
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.locations import models_dir
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.names import LONGEST, check_name, name_from
from tui_gpt.core.runs.commands import argument_problem
from tui_gpt.core.runs.store import RunStore

EVIL = [
    "",
    " ",
    ".",
    "..",
    "...",
    "../../x",
    "../bard",
    "bard/../../x",
    "./bard",
    "bard/",
    "/etc/passwd",
    "a\\b",
    "..\\x",
    "CON",
    "con.txt",
    "nul",
    "LPT1.model",
    ".hidden",
    ".trash",
    "dot.",
    "trailing ",
    " leading",
    "two words",
    "tab\t",
    "line\nend",
    "end\n",
    "a\0b",
    "\x1b[31m",
    "\u202eevil",
    "zero\u200bwidth",
    "😀",
    "Zoë",
    "Ａ",
    "١",
    "ﬁ",
    "İ",
    "a" * (LONGEST + 1),
    "a" * 300,
    "a/" * 100,
    "~",
    "~nobody/x",
    "$(touch owned)",
    "*",
    "?",
    "a:b",
    "a|b",
    "%00",
    "{0}",
    "\udcff",
    "\ud800",
]
DASHES = ["-", "-rf", "--", "--help", "-a b"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a finished run `bard` and its model, beside a file that nobody may touch."""
    folder = tmp_path_factory.mktemp("names")
    scene = Scene(folder)
    run = scene.begin(tiny(scene.text, max_steps=2, sample_tokens=4, model={"n_positions": 8, "n_embd": 16}))
    assert scene.train_here(run) == 0 and scene.models() == ["bard"]
    (folder / "x").mkdir()
    (folder / "x" / "keep.txt").write_text("mine", encoding="utf-8")
    # What commands make on their way, so that it is there before the first look.
    call("models", "show", "bard", home=scene.home)
    with pytest.MonkeyPatch.context() as patch:
        (folder / "work").mkdir()
        patch.chdir(folder / "work")
        yield scene.home


def lines(name: str, home: Path) -> list[list[str]]:
    """Every command that takes a name, with this one in each place where one can stand; what exists is `bard`."""
    text = str(home.parent / "text" / "stories.txt")
    return [
        ["train", text, "--steps", "1", f"--name={name}"],
        ["train", text, "--steps", "1", f"--from={name}", "--name=other"],
        ["sample", "--prompt", "A", "--", name],
        ["sample", "--prompt", "A", "--checkpoint=last", "--", name],
        ["sample", "--prompt", "A", f"--checkpoint={name}", "bard"],
        ["chat", "--", name],
        ["eval", "--", name],
        ["runs", "delete", "--yes", "--", name],
        ["runs", "follow", "--", name],
        ["runs", "fork", "--as=other", "--set=train.max_steps=9", "--", name],
        ["runs", "fork", f"--as={name}", "--set=train.max_steps=9", "bard"],
        ["runs", "log", "--", name],
        ["runs", "metrics", "--", name],
        ["runs", "pause", "--", name],
        ["runs", "rename", "--", name, "other"],
        ["runs", "rename", "--", "bard", name],
        ["runs", "resume", "--", name],
        ["runs", "save", "--as=other", "--", name],
        ["runs", "save", f"--as={name}", "bard"],
        ["runs", "set-lr", "--factor=1", "--", name],
        ["runs", "show", "--", name],
        ["runs", "step", "--", name],
        ["runs", "stop", "--", name],
        ["models", "delete", "--yes", "--", name],
        ["models", "fork", "--", name, "other"],
        ["models", "gguf", "--output=other.gguf", "--", name],
        ["models", "import", "--as=other", "--", name],
        ["models", "import", f"--as={name}", str(home / "models" / "bard")],
        ["models", "fork", "--", "bard", name],
        ["models", "note", "--", name, "text"],
        ["models", "rename", "--", name, "other"],
        ["models", "rename", "--", "bard", name],
        ["models", "show", "--", name],
        ["models", "verify", "--", name],
        ["config", "show", f"--preset={name}"],
        ["config", "check", f"--against={name}"],
        ["config", "show", f"--set={name}=1"],
    ]


def test_the_lines_reach_every_command_that_takes_a_name() -> None:
    reached = {tuple(part for part in line[:2] if part.isalpha() or "-" in part) for line in lines("x", Path("/h"))}
    words = {"/".join(line) for line in reached}
    for group in ("runs", "models"):
        found = cli.get_command(click.Context(cli), group)
        assert isinstance(found, click.Group)
        for name, command in found.commands.items():
            if any(isinstance(parameter, click.Argument) for parameter in command.params):
                assert f"{group}/{name}" in words, f"{group} {name}"


@pytest.mark.parametrize("name", [*EVIL, *DASHES], ids=lambda name: ascii(name)[:30])
def test_a_name_that_cannot_be_is_refused_by_every_command_and_nothing_changes(name: str, home: Path) -> None:
    before = everything(home.parent)
    for line in lines(name, home):
        answer = call(*line, home=home)
        answer.refused(2, 3, 4, 5)
        assert answer.out == "", line
    after = everything(home.parent)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {"home/models/.lock", "home/models", "home/runs", "home"}, changed


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "0", "a" * LONGEST, "consul", "nullable", "com10", "a..b", "v1.0"])
def test_a_plain_name_is_a_name(name: str) -> None:
    assert check_name(name) == name


@settings(max_examples=300)
@given(st.text(max_size=90) | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,90}\Z"))
def test_any_text_is_a_name_of_one_plain_folder_or_refused_in_one_sentence(text: str) -> None:
    try:
        name = check_name(text)
    except ConfigError as error:
        assert "\n" not in str(error) and "\x1b" not in str(error) and len(str(error)) < 500
    else:
        assert name == text and Path(name).name == name and name.isascii() and 1 <= len(name) <= LONGEST
        assert not name.startswith(".") and not name.endswith((".", " ")) and name not in ("con", "nul")
    assert check_name(name_from(text, "run"))


@pytest.mark.parametrize("name", EVIL, ids=lambda name: ascii(name)[:30])
def test_the_places_that_keep_things_refuse_the_name_too(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(home))
    assert models_dir().parent == home
    before = everything(home.parent)
    with pytest.raises(TuiGptError):
        RunStore().open(name)
    with pytest.raises(TuiGptError):
        RunStore().rename("bard", name)
    with pytest.raises(TuiGptError):
        RunStore().delete(name)
    for change in (ModelHandler().rename, ModelHandler().fork):
        with pytest.raises(TuiGptError):
            change("bard", name)
    with pytest.raises(TuiGptError):
        ModelHandler().delete(name)
    assert argument_problem("save", {"name": name})
    assert everything(home.parent).keys() - {"home/models/.lock"} == before.keys() - {"home/models/.lock"}
