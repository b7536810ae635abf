"""GAP (Im, Ma, Kim, Taylor, 2016): strategy, who meets whom, and the couples of the ready."""

from raygan.strategies.gap.strategy import Gap as Gap
