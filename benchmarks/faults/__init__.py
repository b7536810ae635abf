"""What a run survives, and what surviving costs."""
