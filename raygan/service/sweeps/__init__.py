"""`raygan sweep`: the file, Ray Tune, a trial, the report."""
