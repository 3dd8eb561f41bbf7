"""Questions that wait for an answer, and pages that explain."""
