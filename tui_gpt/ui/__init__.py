"""The screen: a Textual app that shows and steers, and never computes."""
