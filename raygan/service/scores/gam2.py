"""`raygan evaluate A B --metrics gam2`: the matrix generator x discriminator over all groups, by
lineage.

group        one run's generators and discriminators (the mixture has none, a global pair counts as
             one)
--control N  a group of N independent pairs with the first run's settings, trained here, kept in
             RUN-control-N
--judges N   N fresh discriminators; each trains against half of all generators, frozen, and judges
             the other half
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from raygan.data.reading import refuse_parts
from raygan.errors import ConfigError
from raygan.gan import steps as S
from raygan.gan.optimizers import make_optimizer
from raygan.gan.random_streams import Streams
from raygan.gan.types import At, Loss
from raygan.metrics.gam import Score, scores, share_taken_for_real, verdict
from raygan.networks.base import NetworkComponent
from raygan.own.names import label as label_of
from raygan.service.runs.cast import mark_of
from raygan.service.runs.identity import run_data
from raygan.service.runs.lineage import lineage
from raygan.service.runs.run import Run
from raygan.service.scores.control import control_group, control_name
from raygan.service.views.tables import text_table
from raygan.strategies.base import strategy_of, threshold_of
from raygan.strategies.roles import with_verdicts
from raygan.watching import counted

LEAST = 10_000
"""Samples a generator for a figure to be quoted."""
JUDGE_STEPS = 1000


def gam2(
    paths: Sequence[str], samples: int, seed: int, control: int = 0, judges: int = 0
) -> dict[str, Any]:
    """{groups, generators, discriminators, rates, scores, verdicts}; stored in the first run.
    Raises ConfigError.
    """
    runs = [Run.load(p) for p in paths]
    refuse_twins([r.name for r in runs] + [control_name(runs[0], control)] * bool(control))
    data = run_data(runs[0])
    refuse_parts(data, "gam2")
    refuse_unlike(runs, judges)
    if control:
        # Against what swapping is measured: the same settings, and pairs that never met.
        runs.append(control_group(runs[0], control))
    # All of a run is of one checkpoint, also while it goes on.
    runs = [run.pinned("judged") for run in runs]
    contest = gathered(runs, samples, seed)
    # The judges come after all who were there: each trains against what those have made.
    fresh = [held_out_judge(runs[0], data, contest, i, seed) for i in range(judges)]
    contest.judges.update({f"held-out judge {i}": judge for i, judge in enumerate(fresh)})
    real = data.held_out_batch(samples, torch.Generator().manual_seed(seed))
    groups, names, rates = contest.groups, list(contest.generated), contest.rates()
    found = scores(rates, names, seed)
    out = {
        # for whoever looks later: of which checkpoint of the run it lies in, and which file is the
        # last of several
        **mark_of(runs[0].checkpoint("judged")),
        "time": time.time(),  # noqa: TID251  an order of files, nothing is measured by it
        "groups": groups,
        "generators": names,
        "discriminators": {
            d: {"error_on_real": 1 - judge.share(real)} for d, judge in contest.judges.items()
        },
        "rates": [[None if np.isnan(v) else v for v in row] for row in rates.tolist()],
        "scores": {g: vars(s) for g, s in found.items()},
        "verdicts": verdicts(runs, groups, found),
        "protocol": {
            "samples": samples,
            "seed": seed,
            "quotable": samples >= LEAST,
            "data": data.name,
            "real": len(real),
            "steps": {run.name: run.checkpoint("judged").step for run in runs},
        },
    }
    runs[0].store(f"gam2-seed{seed}.json", out)
    mark_best(runs, groups, found)
    return out


class Judge(NamedTuple):
    """A discriminator that scores by."""

    d: nn.Module
    threshold: float
    """The logit above which it takes a sample for real."""
    met: frozenset[str]
    """Identities of the generators that it has trained against."""

    def share(self, samples: Tensor) -> float:
        """Of samples (N, *shape) that it takes for real."""
        return share_taken_for_real(self.d, samples, self.threshold)


@dataclass
class Contest:
    """Who meets in the matrix, each by its name RUN/PLAYER."""

    groups: dict[str, list[str]] = field(default_factory=dict)
    """run -> its generators."""
    generated: dict[str, Tensor] = field(default_factory=dict)
    """Samples (N, *shape) of each generator."""
    made: dict[str, frozenset[str]] = field(default_factory=dict)
    """Identities of each generator and of its ancestors."""
    judges: dict[str, Judge] = field(default_factory=dict)

    def rates(self) -> npt.NDArray[np.float64]:
        """(judges, generators): the share that each judge takes for real; NaN where it may not
        judge.
        """
        return np.array([
            # A D that has trained against a generator, or against an ancestor of it, is no fair
            # judge: exactly those are left out (decision 18).
            [
                np.nan if self.made[g] & judge.met else judge.share(made)
                for g, made in self.generated.items()
            ]
            for judge in counted("discriminators judge", list(self.judges.values()))
        ]).reshape(len(self.judges), len(self.generated))  # fmt: skip


def gathered(runs: Sequence[Run], samples: int, seed: int) -> Contest:
    """All generators of these runs, with so many samples each, and all who can judge them."""
    out = Contest()
    for run in runs:
        history = lineage(run, run.checkpoint("judged"))
        out.groups[run.name] = [f"{run.name}/{p}" for p in history.generators]
        for p, ids in history.generators.items():
            made = run.generator(p).draw(samples, seed)
            out.generated[f"{run.name}/{p}"] = torch.from_numpy(made)
            out.made[f"{run.name}/{p}"] = ids
        for p, d in run.discriminators(history.discriminators).items():
            judge = Judge(d, threshold(run, p), history.discriminators[p])
            out.judges[f"{run.name}/{p}"] = judge
    return out


def refuse_twins(names: Sequence[str]) -> None:
    """Raises ConfigError for runs of one name."""
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(
            f"gam2: two runs are named {twice[0]}, and their scores go by the name. Give one of the"
            " folders another name."
        )


def refuse_unlike(runs: Sequence[Run], judges: int) -> None:
    """Raises ConfigError for runs on other data, and for a D that says of no sample that it is
    real; before anything is trained or drawn.
    """
    for run in runs:
        if run.config.data != runs[0].config.data:
            raise ConfigError(
                f"gam2: {run.name} is on {run.config.data}, {runs[0].name} on"
                f" {runs[0].config.data}. Use one data set."
            )
        roles = strategy_of(run.config).roles(run.config)
        for player in with_verdicts(roles, roles):
            threshold(run, player)
    if judges:
        threshold(runs[0], "")


def threshold(run: Run, player: str) -> float:
    """Of this player's D ("": of one by the run's own settings). Raises ConfigError where its loss
    has none.
    """
    # A Wasserstein critic orders samples, and says of none that it is real: there is no share to
    # count.
    config = run.config.of(player)
    if (found := threshold_of(config)) is None:
        raise ConfigError(
            f"gam2: {run.name} has loss {label_of(config.loss['name'])}: its logits have no"
            " threshold between real and fake. Score it by other metrics."
        )
    return found


def verdicts(
    runs: Sequence[Run], groups: dict[str, list[str]], found: dict[str, Score]
) -> dict[str, str]:
    """Each other group against each group of independent pairs."""
    out = {}
    isolated = {r.name for r in runs if strategy_of(r.config).isolated}
    for control in (r.name for r in runs if r.name in isolated):
        for run in (r.name for r in runs if r.name not in isolated):
            words = verdict(
                {g: found[g] for g in groups[run]}, {g: found[g] for g in groups[control]}
            )
            out[f"{run} against {control}"] = words
    return out


def mark_best(runs: Sequence[Run], groups: dict[str, list[str]], found: dict[str, Score]) -> None:
    """Algorithm 1's last line: select the best GAN by GAM; kept in the run for `--from best`."""
    for run in runs:
        best = max(groups[run.name], key=lambda g: found[g].average)
        entry = {
            "player": best.removeprefix(f"{run.name}/"), "by": "gam2",
            "average": found[best].average, **mark_of(run.checkpoint("judged")),
        }  # fmt: skip
        run.store("best.json", entry)


def held_out_judge(run: Run, data: Any, contest: Contest, index: int, seed: int) -> Judge:
    """A fresh D by the run's settings, trained against half of the generators' frozen samples."""
    config, pair = run.config, run.config.pair
    streams = Streams(seed, f"held-out-judge-{index}")
    names = list(contest.generated)
    stream = Streams(seed, "held-out-judges").at("order")
    order = torch.randperm(len(names), generator=stream).tolist()
    # Halves in turn: with two judges or more, nobody is without an unseen one.
    half = max(1, len(names) // 2)
    mine = [names[order[(index * half + i) % len(names)]] for i in range(half)]
    component = cast(NetworkComponent, config.component("network"))
    d = component.discriminator(data.shape, streams.at("init-d"))
    loss = cast(Loss, config.component("loss"))
    optimizer = make_optimizer(pair.optimizer, d.parameters(), pair.lr_d, pair.beta1, pair.beta2)
    pool = torch.cat([contest.generated[g] for g in mine])
    for step in range(JUDGE_STEPS):
        real = data.batch(config.batch_size, streams.at("data", step), torch.device("cpu"))
        pick = torch.randint(len(pool), (config.batch_size,), generator=streams.at("fake", step))
        noise = streams.at("penalty", step)
        S.d_step(
            d, optimizer, loss, real, pool[pick], noise, clip=pair.clip_grad_d, at=At(step)
        )  # fmt: skip
    met = frozenset().union(*(contest.made[g] for g in mine))
    return Judge(d.eval(), threshold(run, ""), met)


def table(out: dict[str, Any]) -> str:
    """The matrix, the scores, the verdicts."""
    names = out["generators"]
    short = {g: f"G{i}" for i, g in enumerate(names)}
    rows = []
    for d, row in zip(out["discriminators"], out["rates"], strict=True):
        # D has trained against this G, so that it is no judge of it
        cells = ["met" if v is None else f"{v:.3f}" for v in row]
        rows.append([d, f"{out['discriminators'][d]['error_on_real']:.3f}", *cells])
    lines = [text_table(["discriminator", "error on real", *short.values()], rows), ""]
    score_rows = []
    for g, s in out["scores"].items():
        ends = "-" if s["interval"] is None else "{:.3f} .. {:.3f}".format(*s["interval"])
        score_rows.append(
            [
                f"{short[g]} = {g}",
                f"{s['average']:.3f}",
                ends,
                f"{s['worst']:.3f}",
                str(s["unseen"]),
                f"{s['elo']:.0f}",
            ]
        )
    lines.append(
        text_table(["generator", "average", "95 %", "worst", "unseen D", "Elo"], score_rows)
    )
    lines += [f"{who}: {what}" for who, what in out["verdicts"].items()]
    for label, members in out["groups"].items():
        averages = [out["scores"][g]["average"] for g in members]
        worst = [out["scores"][g]["worst"] for g in members]
        lines.append(
            f"{label}: average {min(averages):.3f} .. {max(averages):.3f}, worst {min(worst):.3f}"
            f" .. {max(worst):.3f} (min .. max)"
        )
    lines.append(
        "averages are over the discriminators that a generator has not met, which are not the same"
        " for all: some are milder. Elo takes that into account"
    )
    p = out["protocol"]
    note = "" if p["quotable"] else f"; fewer than {LEAST:,} samples: not to be quoted"
    lines.append(
        f"share of {p['samples']:,} samples taken for real, D in eval mode, {p['data']}; higher is"
        f" better{note}"
    )
    return "\n".join(lines)
