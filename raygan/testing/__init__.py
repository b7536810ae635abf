"""Checks for users' own parts: what a pytest of a loss, network, data set, strategy or metric
calls, and what raygan's own pass.

    def test_focal():
        raygan.testing.check_loss(Focal())

Each raises an AssertionError of one line: the thing, what it gives, the next move. Neither Ray nor
files are needed.
"""

from raygan.testing.data import check_data
from raygan.testing.losses import check_loss
from raygan.testing.metrics import check_metric
from raygan.testing.networks import check_network
from raygan.testing.strategies import check_strategy

__all__ = ["check_data", "check_loss", "check_metric", "check_network", "check_strategy"]
