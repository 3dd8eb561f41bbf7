"""tui-gpt: configure, train, keep and talk to GPT models in one terminal."""

__version__ = "0.1.0"
