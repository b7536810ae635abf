"""PMGAN (Xiao and Rajasekaran, 2019): settings, strategy, the judge, the generators, the slots
between them.
"""

from raygan.strategies.pmgan.strategy import Pmgan as Pmgan
