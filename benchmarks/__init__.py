"""Speed, each figure beside its floor in the same run, given as a ratio: `python -m benchmarks`."""
