"""Bugs that only a GPU would meet, put into raygan one at a time: the fake device notices each."""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import Any, NamedTuple

import pytest

from raygan.components import component_class
from raygan.components import names as components
from tests.devices.fake_cuda import FakeCuda
from tests.devices.test_same_bits import VARIANTS, config_of, states


class Bug(NamedTuple):
    """`old` becomes `new` in a function; a variant that goes there."""

    where: str
    old: str
    new: str
    variant: str


BUGS = {
    "a batch stays on the host": Bug(
        "raygan.data.base:Samples.batch",
        "up(self._draw(self.train, size, generator), device)",
        "self._draw(self.train, size, generator)",
        "gap",
    ),
    "z from a generator of the host": Bug(
        "raygan.gan.pair:Pair.seed",
        "self.streams.at(p, self.step)",
        'self.streams.at(p, self.step, "cpu")',
        "gap",
    ),
    "z made on the host": Bug(
        "raygan.gan.random_streams:sample_prior", ", device=generator.device", "", "gap"
    ),
    "noise on D's input made on the host": Bug(
        "raygan.gan.trainer:Trainer.blur", ", device=x.device", "", "ema, noise, matching"
    ),
    "samples published from the device": Bug(
        "raygan.gan.pair:Pair.shared_samples",
        "torch.stack(batches).cpu()",
        "torch.stack(batches)",
        "sgan samples",
    ),
    "held-out samples stay on the host": Bug(
        "raygan.gan.pair:Pair.updates", "up(held, self.device)", "held", "gap"
    ),
    "G stays on the host": Bug(
        "raygan.gan.trainer:Trainer.__init__",
        "parts.generator.to(self.device)",
        "parts.generator",
        "gap",
    ),
    "D stays on the host": Bug(
        "raygan.gan.trainer:Trainer.__init__",
        "parts.discriminator.to(self.device)",
        "parts.discriminator",
        "gap",
    ),
    "DRAGAN's noise on the host": Bug(
        "raygan.losses.dragan:Dragan.penalty_points", ", device=real.device", "", "loss dragan"
    ),
    "WGAN-GP's numbers on the host": Bug(
        "raygan.losses.base:per_sample", ", device=like.device", "", "loss wgan_gp"
    ),
    "PMGAN's labels on the host": Bug(
        "raygan.strategies.pmgan.slots:generator_loss", ", device=x.device", "", "pmgan"
    ),
    "the judge's mask on the host": Bug(
        "raygan.strategies.pmgan.mixture:Mixture.of",
        "dtype=torch.bool, device=device",
        "dtype=torch.bool",
        "pmgan",
    ),
    "a slot's samples stay on the host": Bug(
        "raygan.strategies.pmgan.mixture:Mixture.of",
        "torch.from_numpy(x).to(device)",
        "torch.from_numpy(x)",
        "pmgan",
    ),
    "a slot written from the device": Bug(
        "raygan.strategies.pmgan.generator:Generator.write", ".detach().cpu()", ".detach()", "pmgan"
    ),
    "the judge's gradient stays on the host": Bug(
        "raygan.strategies.pmgan.generator:Generator.one_generator_step",
        '["gradient"])).to(self.device)',
        '["gradient"]))',
        "pmgan gradients",
    ),
    "messengers' shares on the host": Bug(
        "raygan.strategies.sgan.opponents:Opponents.weights",
        ", device=self.pair.device",
        "",
        "sgan samples",
    ),
    "a messenger's samples stay on the host": Bug(
        "raygan.strategies.sgan.opponents:Opponent.refresh", ".to(device)", "", "sgan samples"
    ),
    "a deputy's gradient sent from the device": Bug(
        "raygan.strategies.sgan.deputies:Shard._by_d", ".cpu()", "", "sgan shards"
    ),
    "a deputy's gradient added on the host": Bug(
        "raygan.strategies.sgan.global_pair:add_gradient", ", device=device", "", "sgan shards"
    ),
    "stacked tensors on the host": Bug(
        "raygan.strategies.batching.stack:gather", ", device=same[0].device", "", "pack"
    ),
    "penalties' weights on the host, by a batch": Bug(
        "raygan.strategies.batching.losses:penalties",
        "up(torch.tensor([one.weight for one in same]), squares.device)",
        "torch.tensor([one.weight for one in same])",
        "pack dragan",
    ),
}


def plant(monkeypatch: pytest.MonkeyPatch, bug: Bug) -> None:
    """Change a function where it is defined, and where it was imported by its name."""
    for loss in components("loss"):  # one that was imported now would keep the bug
        component_class("loss", loss)
    module_name, _, path = bug.where.partition(":")
    __import__(module_name)
    module = sys.modules[module_name]
    *classes, name = path.split(".")
    holder: Any = module
    for part in classes:
        holder = getattr(holder, part)
    source = textwrap.dedent(inspect.getsource(getattr(holder, name)))
    assert source.count(bug.old) >= 1, f"{bug.where} has no {bug.old!r} any more: plant it anew"
    source = source.replace(bug.old, bug.new).replace(
        "super()", f"super({path.split('.')[0]}, self)"
    )
    names: dict[str, Any] = {}
    exec(
        compile("from __future__ import annotations\n" + source, "planted", "exec"),
        vars(module),
        names,
    )
    monkeypatch.setattr(holder, name, names[name])
    ours = [m for n, m in list(sys.modules.items()) if n.startswith("raygan.") and not classes]
    for other in ours:
        if getattr(vars(other).get(name), "__module__", "") == module_name:
            monkeypatch.setattr(other, name, names[name])


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[name]
    plant(monkeypatch, bug)
    with FakeCuda(), pytest.raises((RuntimeError, TypeError), match=r"device|numpy|generator"):
        states(config_of(VARIANTS[bug.variant]), "cuda")
