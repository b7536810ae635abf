"""GAN losses, one file each; the file's name is the loss's name in a config. Nothing here imports
Ray.
"""

NOT_COMPONENTS = ("base",)
