"""The processes that `benchmarks.interleaved` lets take turns, one module for each way of doing the work."""
