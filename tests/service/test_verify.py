"""`raygan verify` proves what it says, and fails on builds that break it."""

import pytest
import torch

from raygan.cli import main
from raygan.gan.pair import Pair
from raygan.service.verify import verify_config
from raygan.strategies.base import Setup
from raygan.strategies.sgan.global_pair import GlobalPair
from tests.conftest import tiny_config


def failures(**changes: object) -> list[str]:
    results = verify_config(tiny_config(**changes), 6, "local", inline_only=True)
    assert sum(r.promised for r in results) == 2
    return [r.text for r in results if not r.ok]


def test_a_right_build_passes() -> None:
    assert failures() == []
    assert failures(pair={"lr_decay": "linear"}) == [], (
        "a schedule over the whole run survives being stopped"
    )


def plant_a_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor nudges one weight of the local that was made last."""
    alive: list[Pair] = []
    init, iteration = Pair.__init__, GlobalPair.iteration

    def remember(self: Pair, *args: object, **kwargs: object) -> None:
        init(self, *args, **kwargs)  # type: ignore[arg-type]
        alive.append(self)

    def touch(self: GlobalPair, board: object) -> dict[str, float]:
        with torch.no_grad():
            next(alive[-1].d.parameters()).add_(1e-7)
        return iteration(self, board)  # type: ignore[arg-type]

    monkeypatch.setattr(Pair, "__init__", remember)
    monkeypatch.setattr(GlobalPair, "iteration", touch)


def test_a_supervisor_that_touches_a_local_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_a_touch(monkeypatch)
    assert any("locals untouched" in text and "pair-01" in text for text in failures())


def test_a_supervisor_on_live_discriminators_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing memory that the pair goes on training, instead of a copy."""
    from raygan.gan import weights

    def alias(network: torch.nn.Module) -> object:
        live = next(network.parameters()).detach().numpy().reshape(-1)
        flat = weights.flatten(network).copy()
        flat.flags.writeable = True
        alias.live = live  # type: ignore[attr-defined]
        return flat

    iteration = GlobalPair.iteration

    def write_back(self: GlobalPair, board: object) -> dict[str, float]:
        alias.live += 1e-6  # type: ignore[attr-defined]
        return iteration(self, board)  # type: ignore[arg-type]

    monkeypatch.setattr("raygan.gan.pair.flatten", alias)
    monkeypatch.setattr(GlobalPair, "iteration", write_back)
    assert any("locals untouched" in text for text in failures())


def test_a_shared_random_stream_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local that draws its noise from a generator that the global pair draws from too."""
    shared = torch.Generator().manual_seed(0)
    build = Setup.parts

    def parts(self: Setup, name: str) -> object:
        out = build(self, name)
        original = out.streams.at
        out.streams.at = lambda use, step=0, device=None: (  # type: ignore[method-assign]
            shared if "noise" in use else original(use, step, device)
        )
        return out

    monkeypatch.setattr(Setup, "parts", parts)
    assert any("locals untouched" in text for text in failures())


def test_a_state_that_forgets_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.gan.trainer.load_optimizer", lambda *_: None)
    assert any("never stopped" in text for text in failures())


def test_the_verb_exits_with_one_when_a_promise_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["verify", "--inline", "--steps", "4"]
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 0
    assert (
        "ok    locals untouched by the global pair, 4 steps: 3 players" in capsys.readouterr().out
    )
    plant_a_touch(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 1
    assert "FAIL  locals untouched" in capsys.readouterr().out


MIXED: list[dict[str, object]] = [
    {"strategy": {"name": "gap"}, "num_pairs": 3},
    {"strategy": {"name": "gap", "what": "G", "carry": "weights"}},
    {"strategy": {"name": "population", "rank_samples": 50}, "num_pairs": 3},
    {"strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
    {"strategy": {"name": "sgan", "over": {"name": "gap"}}, "num_pairs": 3},
    {"strategy": {"name": "sgan", "over": {"name": "pmgan"}}},
]


@pytest.mark.parametrize("changes", MIXED, ids=str)
def test_every_mixture_passes(changes: dict[str, object]) -> None:
    results = verify_config(tiny_config(**changes), 10, "local", inline_only=True)
    assert all(r.ok for r in results), [r.text for r in results if not r.ok]
    texts = " ".join(r.text for r in results if r.promised)
    swapping = any(name in str(changes) for name in ("gap", "population"))
    assert ("swaps conserve" in texts) == swapping
    assert ("locals untouched" in texts) == ("sgan" in str(changes))


def swap_failures(monkeypatch: pytest.MonkeyPatch, what: str, broken: object) -> list[str]:
    monkeypatch.setattr(Pair, what, broken)
    results = verify_config(tiny_config(strategy="gap", num_pairs=3), 10, "local", inline_only=True)
    return [r.text for r in results if not r.ok]


def test_a_swap_that_forgets_the_optimizer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from raygan.gan.weights import unflatten

    def weights_only(self: Pair, what: str, parcel: object) -> None:
        unflatten(self.d, parcel.arrays["weights"])  # type: ignore[attr-defined]
        self.identity["D"] = parcel.identity  # type: ignore[attr-defined]

    assert any("swaps conserve" in t for t in swap_failures(monkeypatch, "adopt", weights_only))


def test_a_swap_that_only_one_side_carries_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt = Pair.adopt

    def one_sided(self: Pair, what: str, parcel: object) -> None:
        if self.name != "pair-00":
            adopt(self, what, parcel)  # type: ignore[arg-type]

    assert any("swaps conserve" in t for t in swap_failures(monkeypatch, "adopt", one_sided))
