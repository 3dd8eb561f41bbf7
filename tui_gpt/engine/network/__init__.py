"""The GPT network: two families that share one block."""
