"""How many threads torch writes a text with, where it does: decoding.c finds its own number (`network.pace`).

A token of a small model is some hundred tiny products, and waking a second thread for each costs more than it saves.
Single readings on two cores, one sample, tokens/s with one thread and with two:

    parameters    alone          beside a process that keeps one core busy
    0.9 M         930 and 310
    10.8 M        330 and 200
    26 M          100 and 195    101 and 55
    124 M         25 and 46      26 and 11
"""

from __future__ import annotations

import torch

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.engine.cores import physical_threads
from tui_gpt.engine.network import GPT

MANY_THREADS_FROM = 20_000_000
"""Parameters from which more than one thread pays, on a machine with nothing else to do."""


def use_threads(network: GPT) -> None:
    """Let torch use as many threads as suit the network, in the calling thread."""
    wanted = 1
    if network.count_parameters() >= MANY_THREADS_FROM and not _somebody_trains():
        wanted = physical_threads()
    # The number belongs to the calling thread, and asking first makes torch set up its own idea of it.
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


def _somebody_trains() -> bool:
    try:
        return any(_trains(run) for run in RunStore().list() if isinstance(run, Run))
    except RunError:
        return False


def _trains(run: Run) -> bool:
    try:
        status = run.status()
        return status is not None and status.state == "running" and run.liveness() == "alive"
    except RunError:
        return False
