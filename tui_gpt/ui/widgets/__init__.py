"""Widgets that more than one place could use."""
