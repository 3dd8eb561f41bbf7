"""What is compared, on what, and how to repeat it: `python -m benchmarks.NAME`."""
