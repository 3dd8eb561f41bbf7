"""A mix on the command line: trained, shown, measured and trained on, with every corpus told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Call, tiny_training

from tui_gpt.core.runs.store import RunStore

CATS = "The cat sat on the mat.\nA dog ran to the cat.\n" * 80
FIGURES = "".join(f"{number} and {number + 1} are {2 * number + 1}.\n" for number in range(200))
RED = "A \x1b[31mred\x1b[0m hen sat.\n" * 100


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the texts, which is where the commands are called."""
    for name, text in (("cats.txt", CATS), ("figures.txt", FIGURES), ("red\x1b[31m.txt", RED)):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


MIX = ("--mix", "figures.txt=0.25", "--mix", "red\x1b[31m.txt=0.125")
SHOWN = "cats.txt with 25 % figures.txt and 12.5 % red␛[31m.txt"


@pytest.mark.slow
def test_a_mix_is_trained_on_told_of_measured_and_trained_on_again(texts: Path, home: Path, call: Call) -> None:
    done = call(*tiny_training(Path("cats.txt"), "mixed", "--steps", "12", *MIX), home=home)
    assert done.code == 0, done.err
    assert f"; {SHOWN}, " in done.err
    last = next(line for line in reversed(done.err.splitlines()) if "validation loss" in line)
    assert " [cats.txt " in last and ", figures.txt " in last and ", red␛[31m.txt " in last
    assert "\x1b" not in done.err.replace("\x1b[K", "")
    run = RunStore(home / "runs").open("mixed")
    assert run.record.config.data.mix == (f"{texts}/figures.txt=0.25", f"{texts}/red\x1b[31m.txt=0.125")
    assert SHOWN in call("runs", "show", "mixed").out
    assert " figures.txt " in call("runs", "follow", "mixed", "--no-samples").err

    measured = call("eval", "mixed", "--json").json
    assert measured["loss"] == pytest.approx(measured["trainer_loss"], abs=1e-6)
    losses = list(measured["parts"].values())
    assert measured["loss"] == pytest.approx(0.625 * losses[0] + 0.25 * losses[1] + 0.125 * losses[2])
    assert measured["bits_per_byte"] == pytest.approx(measured["loss"] / 0.6931471805599453)
    told = call("eval", "mixed")
    assert f"{losses[1]:.4f} on figures.txt" in told.out and "\x1b" not in told.out

    card = (home / "models" / "mixed" / "README.md").read_text()
    assert f"- Trained on: `{SHOWN}` (SHA-256 of the texts and shares: " in card
    assert "language:" not in card

    again = call("train", "--from", "mixed", "--name", "again", "--steps", "2", "--device", "cpu")
    assert again.code == 0, again.err
    assert "again from mixed" in again.err and SHOWN in again.err
    alone = call("train", "cats.txt", "--from", "mixed", "--name", "alone", "--steps", "2", "--device", "cpu")
    assert alone.code == 0 and "; cats.txt, " in alone.err, "another text comes without the model's mix"


def test_show_tells_of_every_corpus(texts: Path, home: Path, call: Call) -> None:
    shown = call("corpora", "show", "cats.txt", *MIX, home=home)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].split(maxsplit=1) == ["corpus", SHOWN]
    assert lines[1] == "62.5 %       cats.txt, 3,312 + 368 tokens, 1 x an epoch"
    assert lines[2].startswith("25 %         figures.txt, ") and lines[3].startswith("12.5 %       red␛[31m.txt, ")
    tree = call("corpora", "show", "cats.txt", *MIX, "--json").json
    assert [part["source"] for part in tree["parts"]][:2] == ["cats.txt", "figures.txt"]
    assert [part["share"] for part in tree["parts"]] == [0.625, 0.25, 0.125]
    assert tree["train_tokens"] == sum(part["train_tokens"] for part in tree["parts"])
    assert call("corpora", "show", "cats.txt", "--json").json["parts"] == []


@pytest.mark.parametrize(
    ("mix", "code", "says"),
    [
        ("figures.txt", 2, "data.mix: 'figures.txt' is not of the form CORPUS=SHARE, e.g. python-docs=0.25"),
        ("figures.txt=1", 2, "must be above 0 and below 1"),
        ("./cats.txt=0.1", 2, "./cats.txt is in it twice, or is the main corpus too"),
        ("nothing=0.1", 3, "there is no corpus, file or folder 'nothing'"),
    ],
)
@pytest.mark.parametrize("command", [("train",), ("corpora", "show")])
def test_a_mix_that_cannot_be_is_one_sentence_and_makes_nothing(
    texts: Path, home: Path, call: Call, command: tuple[str, ...], mix: str, code: int, says: str
) -> None:
    refused = call(*command, "cats.txt", "--mix", mix, home=home)
    assert (refused.code, refused.out) == (code, "")
    assert says in refused.err and refused.err.count("\n") == 1
    assert not (home / "runs").exists()
