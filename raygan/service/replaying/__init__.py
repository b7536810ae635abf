"""What `raygan replay` is made of: a run's attempts, a player's end of the board, the replayer."""
