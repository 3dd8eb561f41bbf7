"""Curves of a run: its metrics read into columns, reduced to what a terminal can show, and drawn."""
