"""The run directory: the one interface between the detached trainer and whoever watches it. Plain files, polled."""
