"""What stands in RESULTS.md and LOG.md, measured: each module prints its table and writes it to
benchmarks/results/.
"""
