"""The screen's child process: whatever needs torch and is no training. It speaks as `core.messages` says."""
