"""Puts a model with random weights into the library of TUI_GPT_HOME.

python -m benchmarks.journey.new_model NAME PRESET
"""

from __future__ import annotations

import sys


def main() -> None:
    """Make it, as a run that stopped at its first step would have."""
    name, preset = sys.argv[1:]
    from tui_gpt.core.config_loading import build_config
    from tui_gpt.core.presets import PRESETS
    from tui_gpt.core.runs.checkpoints import publish_checkpoint
    from tui_gpt.core.runs.records import EXECUTION_FILE, write_record
    from tui_gpt.engine.text.prepare import prepare
    from tui_gpt.engine.training.begin import begin_run
    from tui_gpt.engine.training.devices import choose_execution
    from tui_gpt.engine.training.keeping import Keeper
    from tui_gpt.engine.training.learner import Learner
    from tui_gpt.engine.training.publishing import publish_ended_run
    from tui_gpt.engine.training.state import Counters

    config = build_config(
        ("preset", PRESETS[preset].tree),
        # With projections at zero every token would be as likely as any other.
        ("journey", {"data": {"corpus_megabytes": 1.0}, "train": {"zero_init_projections": False}}),
    )
    run = begin_run(config, f"{name}-run")
    corpus = prepare(config.data)
    execution = choose_execution(config.train, long_run=False)
    write_record(run.folder / EXECUTION_FILE, execution)
    keeper = Keeper(run, Learner(run.record.config, execution, corpus.batches(run.record.config)), corpus)
    counters = Counters(step=1, elapsed_seconds=0.0, tokens_seen=0)
    publish_checkpoint(run.folder, 1, lambda folder: keeper.write_checkpoint(folder, counters))
    entry = publish_ended_run(run, name)
    print(entry.record.n_parameters if entry.record else 0)


if __name__ == "__main__":
    main()
