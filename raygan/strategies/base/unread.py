"""Settings that would change nothing: whoever asks for one means something that does not happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from raygan.config import Config, PairConfig
from raygan.losses.base import LossComponent, penalises
from raygan.own.names import label


def without_effect(config: Config, unread: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    """(setting, value, why it changes nothing) of one player's `pair`, as `Config.of` gives it;
    unread: those that its strategy has no use for.
    """
    for name, why in unread.items():
        value = getattr(config.pair, name)
        if value != PairConfig.model_fields[name].default:
            yield name, value, why
    for name, why in lacks(config).items():
        if (value := getattr(config.pair.schedule, name)) is not None:
            yield f"schedule.{name}", value, why


def lacks(config: Config) -> dict[str, str]:
    """What a player with this config, as `Config.of` gives it, has not, of all that a schedule or a
    strategy may move; and why.
    """
    out, loss = dict[str, str](), cast(LossComponent, config.component("loss"))
    if config.pair.optimizer == "rmsprop":
        out |= dict.fromkeys(("beta1", "beta2"), "RMSProp has no betas")
    if not config.pair.ema:
        out["ema"] = "pair.ema is 0, and there is no average"
    if not penalises(loss):
        out["gamma"] = f"loss {label(loss.name)} has no penalty as it is set"
    return out
