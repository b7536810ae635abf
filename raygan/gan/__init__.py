"""One pair in plain PyTorch: its steps, its random streams, its weights as one vector.

Law: nothing here imports Ray, and nothing here knows that other pairs exist.
"""
