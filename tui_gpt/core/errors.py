"""Errors that a person can act on: each message is one sentence that says what, where, why and what to do."""


class TuiGptError(Exception):
    """Base of every error whose message is meant for a person.

    `exit_code` is what the command line leaves with (see docs/command-line.md).
    """

    exit_code = 1


class ConfigError(TuiGptError):
    """A configuration that cannot be used. `path` names the field, e.g. `model.n_head`."""

    exit_code = 2

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class CorpusError(TuiGptError):
    """Text that cannot be read or is not enough to train on."""

    exit_code = 3


class RunError(TuiGptError):
    """A run that does not exist, is damaged, or is in a state where the request makes no sense."""

    exit_code = 4


class ModelError(TuiGptError):
    """A model folder that is missing, damaged, or not supported."""

    exit_code = 5


class MemoryLimitError(TuiGptError):
    """A configuration that cannot fit into the memory of the device; raised before anything is allocated."""

    exit_code = 6
