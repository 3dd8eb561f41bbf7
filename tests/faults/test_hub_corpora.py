"""Data sets of an imitation of the Hub as corpora: fetched, resumed, pinned, offline, and what is refused."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import tiny_training
from forked_commands import Commands, Done
from hub_imitation import Hub, Repository, imitation

from tui_gpt.core.files import sha256_file

ROWS = [f"Story {n}: the fox met the sea, and the sea was kind to it.\n" for n in range(60)]
WIKI = "wikitext-2-raw-v1"


def table(texts: Sequence[str | None], column: str = "text") -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": range(len(texts)), column: pa.array(texts, pa.string())}), out, row_group_size=10)
    return out.getvalue()


class Place:
    """A machine with a cache, and a Hub that it can reach unless it is told otherwise."""

    def __init__(self, commands: Commands, hub: Hub, cache: Path) -> None:
        self.hub, self.cache, self._commands = hub, cache, commands
        self.home = commands.home

    def put(self, name: str, files: dict[str, bytes], *names: str) -> str:
        """Add a commit to a data set; returns its hash."""
        repository = self.hub.repositories.setdefault(f"datasets/{name}", Repository())
        return repository.commit(files, *names)

    def __call__(self, *arguments: str, **more: str) -> Done:
        surroundings = {
            "HF_ENDPOINT": self.hub.address,
            "HF_HOME": str(self.cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            **more,
        }
        return self._commands.run(*arguments, environment=surroundings)

    def facts(self, *arguments: str, **more: str) -> dict[str, Any]:
        """What `corpora show` tells."""
        done = self("corpora", "show", *arguments, "--json", **more)
        assert done.code == 0, done
        found: dict[str, Any] = json.loads(done.out)
        return found

    def refusal(self, *arguments: str, code: int = 3, **more: str) -> str:
        """The one sentence."""
        done = self(*arguments, **more)
        assert done.code == code, done
        assert done.err.startswith("error: ") and done.err.count("\n") == 1, done.err
        assert "Traceback" not in done.err and len(done.err) < 800
        return done.err


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    commands = Commands(tmp_path / "home", tmp_path / "streams")
    with imitation() as hub:
        yield Place(commands, hub, tmp_path / "hub-cache")
    commands.close()


SHARDS = {
    "data/train-00000-of-00002-ab12.parquet": table(ROWS[:40]),
    "data/train-00001-of-00002-cd34.parquet": table(ROWS[40:]),
    "data/validation-00000-of-00001.parquet": table(ROWS[:5]),
    "README.md": b"---\nlicense: mit\n---\n# Foxes\n",
}


def test_a_split_is_a_corpus_that_is_fetched_once_and_stays_at_its_commit(place: Place) -> None:
    commit = place.put("a/foxes", SHARDS)
    told = place.facts("hub:a/foxes")
    assert (told["documents"], told["columns"], told["characters"]) == (60, ["text"], sum(map(len, ROWS)))
    assert told["own_validation"] == ""
    asked, sent = place.hub.requests, place.hub.sent
    place.put("a/foxes", {"data/train.parquet": table(["something else entirely, and shorter"] * 9)})
    assert place.facts("hub:a/foxes:train:text")["sha256"] == told["sha256"]
    assert (place.hub.requests, place.hub.sent) == (asked, sent)
    pinned = json.loads(place("corpora", "fetch", f"hub:a/foxes@{commit}", "--json").out)
    assert pinned == {"corpus": f"hub:a/foxes@{commit}", "pinned": f"hub:a/foxes@{commit}:train", "documents": 0}
    # Whoever asks for it again gets what is new.
    assert place("corpora", "fetch", "hub:a/foxes").code == 0
    assert place.facts("hub:a/foxes")["documents"] == 9
    assert place.facts(f"hub:a/foxes@{commit}")["sha256"] == told["sha256"]


def test_the_files_that_hold_the_documents_asked_for_are_enough(place: Place) -> None:
    place.put("a/foxes", SHARDS)
    assert place.facts("hub:a/foxes", "--documents", "30")["documents"] == 30
    first = place.hub.sent
    assert first < len(SHARDS["data/train-00000-of-00002-ab12.parquet"]) + 100
    assert place.facts("hub:a/foxes", "--documents", "0")["documents"] == 60
    assert place.facts("hub:a/foxes", "--documents", "30", HF_HUB_OFFLINE="1")["documents"] == 30


@pytest.mark.slow
def test_what_broke_off_is_gone_on_with(place: Place) -> None:
    # The client writes ten megabytes at a time, so that less than those is lost.
    long = [random.Random(n).randbytes(6_000_000).hex() for n in range(2)]
    out = io.BytesIO()
    pq.write_table(pa.table({"text": long}), out, compression="none", use_dictionary=False)
    place.put("a/foxes", {"train.parquet": out.getvalue()})
    place.hub.breaks_after = 11 << 20
    done = place("corpora", "fetch", "hub:a/foxes")
    assert done.code == 0, done
    assert place.hub.ranges == [f"bytes={10 << 20}-", f"bytes={20 << 20}-"]
    place.hub.breaks_after = 500
    place.put("a/small", SHARDS)
    assert "cannot be fetched" in place.refusal("corpora", "fetch", "hub:a/small")
    place.hub.breaks_after = None
    assert place.facts("hub:a/small")["documents"] == 60


def test_wrong_bytes_are_noticed_though_their_length_is_right(place: Place) -> None:
    place.put("a/foxes", {"train.parquet": table(ROWS)})
    right = place.hub.repositories["datasets/a/foxes"].files("main")
    assert right is not None
    content = right[1]["train.parquet"]
    place.hub.lies["train.parquet"] = content[:100] + b"?" + content[101:]
    assert "has not the hash that the Hub gave it" in place.refusal("corpora", "show", "hub:a/foxes")
    place.hub.lies.clear()
    assert place.facts("hub:a/foxes")["documents"] == 60


def test_without_a_network_there_is_a_sentence_or_what_was_fetched(place: Place) -> None:
    place.put("a/foxes", SHARDS)
    for surroundings in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        for name in ("hub:a/foxes", "wikitext-2") if "HF_HUB_OFFLINE" in surroundings else ("hub:a/foxes",):
            refusal = place.refusal("corpora", "show", name, **surroundings)
            assert "stories, python, python-docs and conversations or files of your own" in refusal
            assert ("switched off" in refusal) == ("HF_HUB_OFFLINE" in surroundings)
    told = place.facts("hub:a/foxes")
    assert place.facts("hub:a/foxes", HF_HUB_OFFLINE="1")["sha256"] == told["sha256"]
    assert place("corpora", "fetch", "hub:a/foxes", HF_HUB_OFFLINE="1").code == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hub:", "names no data set"),
        ("hub:a/nobody", "is no repository of the Hub"),
        ("hub:a/foxes@gone", "is no revision of a/foxes"),
        ("hub:a/foxes:missing", "has no split 'missing'; it has train, validation"),
        ("hub:a/foxes:train:body", "has no column body; its columns are id (int64), text (text)"),
        ("hub:a/several", "has more than one configuration; it has de, en"),
        ("hub:a/several:fr/train", "has no configuration 'fr'; it has de, en"),
        ("hub:a/texts", "has no Parquet files"),
        ("hub:a/broken", "answered 500"),
        ("hub:a/no-table", "is a damaged Parquet file"),
    ],
)
def test_what_is_not_there_is_a_sentence_that_says_what_is(place: Place, name: str, reason: str) -> None:
    place.put("a/foxes", SHARDS)
    place.put("a/several", {f"{c}/train-00000-of-00001.parquet": table(ROWS) for c in ("de", "en")})
    place.put("a/texts", {"all.txt": b"a text\n"})
    place.put("a/no-table", {"train.parquet": b"no table at all"})
    place.put("a/broken", SHARDS)
    place.hub.repositories["datasets/a/broken"].status = 500
    assert reason in place.refusal("corpora", "show", name)


def test_the_hubs_own_conversion_and_a_readme_tell_the_splits(place: Place) -> None:
    place.put("a/texts", {"all.txt": b"a text\n"})
    repository = place.hub.repositories["datasets/a/texts"]
    main = repository.revisions["main"]
    converted = repository.commit({"default/train/0000.parquet": table(ROWS)}, "refs/convert/parquet")
    repository.revisions["main"] = main
    assert place.facts("hub:a/texts")["documents"] == 60
    assert place.facts(f"hub:a/texts@{converted}:default/train")["documents"] == 60
    card = b"---\nconfigs:\n- config_name: sample\n  data_files:\n  - split: train\n    path: deep/*/*.parquet\n---\n"
    place.put("a/deep", {"README.md": card, "deep/10/0.parquet": table(ROWS[:9]), "x/0.parquet": table(ROWS)})
    assert place.facts("hub:a/deep")["documents"] == 9


def test_a_run_keeps_the_commit_and_goes_on_with_it(place: Place) -> None:
    commit = place.put("a/foxes", SHARDS)
    done = place(*tiny_training(Path("hub:a/foxes"), "fox", "--steps", "2", "--set", "data.tokenizer=char"))
    assert done.code == 0, done
    record = json.loads((place.home / "runs" / "fox" / "run.json").read_text())
    assert record["config"]["data"]["corpus"] == f"hub:a/foxes@{commit}:train"
    assert record["config"]["data"]["column"] == "text"
    place.put("a/foxes", {"data/train.parquet": table(["something else"] * 9)})
    assert place("corpora", "fetch", "hub:a/foxes").code == 0
    shutil.rmtree(place.home / "cache" / "corpora")
    again = place.facts(record["config"]["data"]["corpus"], HF_HUB_OFFLINE="1")
    assert again["sha256"] == record["data"]["sha256"]


def test_wikitext_is_articles_with_their_own_validation(place: Place) -> None:
    lines = [
        "",
        " = Robin = \n",
        "",
        " A robin sings . \n",
        " = = Song = = \n",
        " It is loud . \n",
        " = Wren = \n",
        " W . \n",
    ]
    commit = place.put(
        "Salesforce/wikitext",
        {
            f"{WIKI}/train-00000-of-00001.parquet": table(lines),
            f"{WIKI}/validation-00000-of-00001.parquet": table([" = Owl = \n", " An owl sleeps by day . \n"]),
            "wikitext-103-raw-v1/train-00000-of-00001.parquet": table(ROWS),
        },
        "b08601e04326c79dfdd32d625aee71d232d685c3",
    )
    repository = place.hub.repositories["datasets/Salesforce/wikitext"]
    repository.commits["b08601e04326c79dfdd32d625aee71d232d685c3"] = repository.commits[commit]
    told = place.facts("wikitext-2", "--tokenizer", "char")
    assert (told["documents"], told["own_validation"], told["empty_rows"]) == (3, "validation", 0)
    assert told["sample"].startswith(" = Robin = \n A robin sings . \n = = Song = = \n It is loud . \n")
    assert told["validation_tokens"] == len(" = Owl = \n An owl sleeps by day . \n")
    listed = {c["name"]: c["here"] for c in json.loads(place("corpora", "list", "--json").out)}
    assert listed["wikitext-2"] and listed["stories"] and not listed["shakespeare"] and not listed["tinystories"]
    assert sha256_file(Path(told["prepared"]) / "tokenizer.json")
