"""The GPT network: two families that share one block."""

from tui_gpt.engine.network.cache import KVCache
from tui_gpt.engine.network.gpt import GPT
from tui_gpt.engine.network.initialization import build_network, empty_network

__all__ = ["GPT", "KVCache", "build_network", "empty_network"]
