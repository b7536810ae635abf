"""What the methods deliver: figures of the papers and of this project, over seeds."""
