"""The loop: ask the strategy, carry out its orders, wait, record. Nothing here imports Ray."""
