"""Pairs of networks, one file each; the file's name is the network's name in a config. Nothing here
imports Ray.

A network component builds `generator(shape)` and `discriminator(shape)`, both with weights drawn
from a given generator.
"""

NOT_COMPONENTS = ("base", "equivalence", "initial", "plain")
