"""A corpus of small children's stories, generated: simple, correct English that a small model can learn quickly."""

from tui_gpt.engine.text.stories.planner import generate_stories

__all__ = ["generate_stories"]
