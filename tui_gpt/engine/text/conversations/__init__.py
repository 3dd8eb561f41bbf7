"""A corpus of conversations with a storyteller, generated, and the questions kept apart to examine a model with."""

from tui_gpt.engine.text.conversations.exchange import Message
from tui_gpt.engine.text.conversations.generator import KINDS, Case, generate_conversations, held_out

__all__ = ["KINDS", "Case", "Message", "generate_conversations", "held_out"]
