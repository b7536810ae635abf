"""What strategies share, and what a user's own one is made of.

component.py     StrategyComponent: one paper
members.py, pace.py, processes.py, costs.py
                 what it says by theme, each with an answer that most can keep
plan.py          what it decides by
setup.py         what its players are built from
travels.py       what goes from one player to another, and must be alike in both
unread.py        settings that would change nothing
chosen.py        the strategy of a config, and what follows from it
"""

from raygan.strategies.base.chosen import (
    checked,
    generating,
    homes,
    idle_for_ever,
    load_data,
    mixed,
    num_processes,
    strategy_of,
    threshold_of,
    with_data,
)  # fmt: skip
from raygan.strategies.base.component import StrategyComponent
from raygan.strategies.base.costs import Costs, megabytes, parcel_bytes
from raygan.strategies.base.members import Members, pair_name
from raygan.strategies.base.pace import Pace
from raygan.strategies.base.plan import Plan, Progress
from raygan.strategies.base.processes import Processes
from raygan.strategies.base.setup import Setup
from raygan.strategies.base.travels import same_networks
from raygan.strategies.base.unread import lacks

__all__ = [
    "Costs", "Members", "Pace", "Plan", "Processes", "Progress", "Setup", "StrategyComponent",
    "checked", "generating", "homes", "idle_for_ever", "lacks", "load_data", "megabytes", "mixed",
    "num_processes", "pair_name", "parcel_bytes", "same_networks", "strategy_of", "threshold_of",
    "with_data",
]  # fmt: skip
