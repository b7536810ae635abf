"""What the three papers claim, as commands: `raygan reproduce`."""
