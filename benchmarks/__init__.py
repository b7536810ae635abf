"""What stands in RESULTS.md, measured: each module prints its table and writes it to benchmarks/results/."""
