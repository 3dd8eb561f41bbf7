"""Training: optimizers, schedules, evaluation, exact state, and the detached worker."""
