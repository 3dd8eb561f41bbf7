"""Texts that are learned from while the rest of them arrives: parts, who makes them, and batches of what is there."""
