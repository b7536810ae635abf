"""Trackers of experiments, one file each; the file's name is the tracker's name in a config.

Law: a tracker imports its library when it begins, not before, and knows nothing of Ray or PyTorch's
training. Who feeds it, and what happens when it fails, is `raygan.service.tracking`.
"""

NOT_COMPONENTS = ("base",)
