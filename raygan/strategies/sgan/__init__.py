"""SGAN (Chavdarova and Fleuret, 2018): settings, strategy, the global pair, its messengers, its
opponents.
"""

from raygan.strategies.sgan.strategy import Sgan as Sgan
