"""What people do to runs from outside: continue one that has ended. The screen and the command line share it."""

from __future__ import annotations

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.launch import TrainerProcess, launch_trainer
from tui_gpt.core.runs.standby import StandbyTrainer
from tui_gpt.core.runs.store import Run


def resume_ended(run: Run, lr_factor: float | None = None, standby: StandbyTrainer | None = None) -> TrainerProcess:
    """Start a trainer for a run that has none, from its newest intact checkpoint.

    `lr_factor` multiplies the learning rate from there on; a `standby` becomes that trainer where it fits.
    Raises RunError for a finished run, and when none starts.
    """
    # The summary, because a damaged status.json keeps nobody from training on: the trainer writes a new one.
    if run.summary().state == "finished":
        raise RunError(
            f"run {run.name} is finished; its model is in the library, and a longer run is a fork of it or a new one"
        )
    execution = run.execution()
    arguments = [] if lr_factor is None else ["--lr-factor", repr(lr_factor)]
    nproc = execution.world_size if execution else 1
    return launch_trainer(run.folder, nproc=nproc, arguments=arguments, standby=standby)
