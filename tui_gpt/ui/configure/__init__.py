"""The parts of the Configure tab."""
