"""Groups of a run's effective states, as those see them who watch it."""

from __future__ import annotations

ALIVE = frozenset({"starting", "preparing", "running", "paused", "hung"})
"""Those of a run that has a trainer."""
RESUMABLE = frozenset({"new", "stopped", "failed", "interrupted"})
"""Those from which a new trainer can go on."""
