"""How much of a sample is words of the corpus, a minute after the key that starts a run on the built-in stories."""

from __future__ import annotations

import time

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home
from benchmarks.journey.numbers import median
from benchmarks.journey.screens import configure_tab
from benchmarks.journey.texts import builtin_stories
from benchmarks.journey.words import vocabulary_of, word_share

ROUNDS = 3
SECONDS = 60.0
SHARE_AIM = 80.0
_LOOK_SECONDS = 0.1
_FIRST_SEED = 1


def measure(rounds: int) -> list[Finding]:
    """Each round another seed of the run; the preset is the one that stands there."""
    at_the_end: list[float] = []
    times: list[float] = []
    notes = [
        "words: runs of letters, in lower case, of the newest sample's first 200 characters, without one that is cut",
        "known words: all of the built-in corpus",
    ]
    for seed in range(_FIRST_SEED, _FIRST_SEED + rounds):
        samples, megabytes = _samples(seed)
        known = vocabulary_of(builtin_stories(megabytes))
        shares = [(at, 100 * word_share(text, known, prompt)) for at, prompt, text in samples]
        at_the_end.append(shares[-1][1] if shares else 0.0)
        reached = next((at for at, share in shares if share >= SHARE_AIM), None)
        if reached is not None:
            times.append(reached)
        told = ", ".join(f"{at:.0f} s {share:.0f} %" for at, share in shares)
        notes.append(f"seed {seed}: {told or 'no sample'}")
        if samples:
            notes.append(f"  the last begins: {' '.join(samples[-1][2].split())[:90]}")
    return [
        Finding(
            row="readable",
            what=f"known words of the newest sample after {SECONDS:.0f} s",
            value=median(at_the_end),
            unit="%",
            aim="at least",
            bound=SHARE_AIM,
            values=at_the_end,
            notes=notes,
        ),
        Finding(
            row="readable",
            what=f"the first sample with {SHARE_AIM:.0f} % is written",
            value=median(times) if len(times) == rounds else None,
            unit="s",
            values=times,
        ),
    ]


def _samples(seed: int) -> tuple[list[tuple[float, str, str]], float]:
    """(seconds since the key, prompt, text) of each sample of the first minute, and the corpus' size in megabytes."""
    with Home() as home:
        home.remember(tabs={"configure": {"changed": {"train.seed": str(seed)}}})
        with home.app() as terminal:
            terminal.until(configure_tab, "the form")
            pressed = terminal.press("f5")
            run = home.await_run()
            reader = run.reader()
            found: list[tuple[float, str, str]] = []
            while (now := time.perf_counter() - pressed) < SECONDS:
                for record in reader.poll():
                    if record.kind == "sample":
                        found.append((now, str(record.values["prompt"]), str(record.values["text"])))
                time.sleep(_LOOK_SECONDS)
            if run.record.config.train.seed != seed:
                raise ValueError(f"the form did not take up seed {seed}")
            return found, run.record.config.data.corpus_megabytes
