"""Time, memory and bytes, as ratios taken in one run."""
