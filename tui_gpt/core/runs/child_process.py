"""How this program starts Python processes of its own: the arguments and the environment of trainers and sessions."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import tui_gpt
from tui_gpt.core import locations

TRAINER_MODULE = "tui_gpt.engine.training.worker"
STANDBY_MODULE = "tui_gpt.engine.training.standby"

# The working folder must not be a place to import from.
INTERPRETER = (sys.executable, "-P")

# Read once, when a process starts, so that the trainer itself would be too late to set them:
# - glibc returns large buffers to the kernel at every free, and faulting their pages in again costs a CPU trainer more
#   than the arithmetic;
# - libgomp's threads wait for each other by spinning, which costs most while something else (an app, a browser) wants a
#   core. Spinning briefly makes steps slower alone and faster beside a busy process: docs/experiments.md has both.
_SURROUNDINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "GOMP_SPINCOUNT": "3000",
}


def trainer_command(run_folder: Path, *, nproc: int = 1, module: str = TRAINER_MODULE) -> list[str]:
    """The arguments that start a trainer."""
    worker = [module, *trainer_arguments(run_folder)]
    if nproc == 1:
        return [*INTERPRETER, "-m", *worker]
    # Without the --, torch's launcher takes the worker's --run for an abbreviation of an option of its own.
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(nproc), "-m", "--"]
    return [*INTERPRETER, "-m", *launcher, *worker]


def trainer_arguments(run_folder: Path) -> list[str]:
    """What a worker is told about the run it trains."""
    return ["--run", str(run_folder)]


def trainer_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process' environment, made fit for a trainer in another working folder. `extra` wins over all."""
    environment = dict(os.environ)
    if environment.get(locations.HOME_VARIABLE):
        environment[locations.HOME_VARIABLE] = str(locations.home())
    search = [str(Path(entry).absolute()) for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    source = Path(tui_gpt.__file__).resolve().parent.parent
    # A source checkout that is not installed. An installed package is found anyway, and its folder on PYTHONPATH would
    # come before the standard library.
    if source.name not in ("site-packages", "dist-packages") and str(source) not in search:
        search.append(str(source))
    if search:
        environment["PYTHONPATH"] = os.pathsep.join(search)
    # The log must hold the last words of a process that is killed, and the stack of one that crashes.
    defaults = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    if sys.platform == "linux":
        defaults |= _SURROUNDINGS
    return {**defaults, **environment, **(extra or {})}
