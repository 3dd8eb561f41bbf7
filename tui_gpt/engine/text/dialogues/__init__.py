"""Conversations to learn from: their forms in files, their tokens, and rows that hold several of them apart."""
