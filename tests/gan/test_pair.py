import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raygan.errors import CheckpointError, NonFiniteError
from raygan.gan.bundle import pack, unpack
from raygan.gan.pair import Pair, Sharing
from raygan.gan.parcels import apart, joined
from raygan.gan.weights import Publication, duplicate, finite, flatten
from tests.conftest import setup_of, state_digest, tiny_config


class Shelf:
    """A board that keeps everything."""

    def __init__(self) -> None:
        self.got: list[Publication] = []

    def publish(self, publication: Publication) -> None:
        self.got.append(publication)


def make(name: str = "pair-00", sharing: Sharing | None = None, **changes: Any) -> Pair:
    return Pair(name, setup_of(tiny_config(**changes)).parts(name), sharing)


def test_training_is_the_plain_gan_loop() -> None:
    """Two steps against the loop written out, with the same batches and noise: equal bits."""
    pair, other = make(), make()
    pair.train(2, Shelf())
    g, d = other.g, other.d
    opt_g = torch.optim.Adam(g.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
    opt_d = torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
    softplus = torch.nn.functional.softplus
    for step in range(2):
        data, noise = other.streams.at("data", step), other.streams.at("noise", step)
        real = other.data.batch(16, data, torch.device("cpu"))
        fake = g(torch.randn(16, 2, generator=noise)).detach()
        opt_d.zero_grad()
        (softplus(-d(real)).mean() + softplus(d(fake)).mean()).backward()
        opt_d.step()
        opt_g.zero_grad()
        softplus(-d(g(torch.randn(16, 2, generator=noise)))).mean().backward()
        opt_g.step()
    assert np.array_equal(flatten(pair.g), flatten(g))
    assert np.array_equal(flatten(pair.d), flatten(d))


def test_pairs_differ_by_name_and_by_seed_and_by_nothing_else() -> None:
    runs = [make(), make(), make("pair-01"), make(seed=1)]
    for pair in runs:
        pair.train(3, Shelf())
    digests = [state_digest(p.state()) for p in runs]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pair": {"optimizer": "rmsprop", "ema": 0.9, "clip_grad_d": 0.1, "clip_grad_g": 0.1}},
        {"pair": {"input_noise": 0.2, "lr_decay": "linear", "prior": "uniform"}},
        {"loss": {"name": "wgan_gp", "d_steps": 2}},
        {
            "loss": {"name": "r3gan", "penalty_every": 4},
            "pair": {"ema": 0.9, "schedule": {"beta2": 0.5, "ema": 0.5}},
        },
        {"data": "mnist", "network": {"name": "dcgan", "width": 4, "z_dim": 8}, "batch_size": 8},
    ],
)
def test_saved_and_restored_equals_never_stopped(changes: dict[str, Any]) -> None:
    through, stopped, resumed = (make(**changes) for _ in range(3))
    through.train(6, Shelf())
    stopped.train(3, Shelf())
    resumed.restore(unpack(pack(stopped.state())))
    resumed.train(3, Shelf())
    assert state_digest(through.state()) == state_digest(resumed.state())


class Centred(nn.Module):
    """Puts a new tensor in its buffer's place at each batch, as much code out there does."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return x - self.mean


class Across(nn.Module):
    """A convolution with its weights the other way round in memory, or a matrix on its side."""

    def __init__(self, pictures: bool) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 3) if pictures else nn.Linear(6, 2)
        if pictures:
            self.inner.to(memory_format=torch.channels_last)
        else:
            self.inner.weight.data = torch.randn(6, 2).t()

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.inner, nn.Linear):
            return self.inner(torch.cat([x, x * x, x.sin()], 1)) + x
        return x + self.inner(x.sin().repeat(1, 24)[:, :48].view(-1, 3, 4, 4)).flatten(1)[:, :2]


def odd(layer: nn.Module, **changes: Any) -> Pair:
    """A pair whose G ends in this layer, and whose D begins with one like it."""
    parts = setup_of(tiny_config(**changes)).parts("pair-00")
    return Pair(
        "pair-00",
        replace(
            parts,
            generator=nn.Sequential(parts.generator, duplicate(layer)),
            discriminator=nn.Sequential(duplicate(layer), parts.discriminator),
        ),
    )


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("layer", [Centred(), Across(False), Across(True)], ids=str)
def test_an_odd_layer_is_saved_and_restored_too(layer: nn.Module, optimizer: str) -> None:
    changes = {"pair": {"ema": 0.9, "optimizer": optimizer}}
    through, stopped, resumed = (odd(layer, **changes) for _ in range(3))
    through.train(6, Shelf())
    stopped.train(3, Shelf())
    resumed.restore(unpack(pack(stopped.state())))
    resumed.train(3, Shelf())
    assert state_digest(through.state()) == state_digest(resumed.state())


def test_the_average_has_the_buffers_of_now_whatever_a_layer_does_to_them() -> None:
    pair = odd(Centred(), pair={"ema": 0.9})
    pair.train(4, Shelf())
    (now,), (its,) = (list(n.buffers()) for n in (pair.g, pair.average))
    assert torch.equal(now, its)
    assert now.abs().sum() > 0
    assert now.data_ptr() != its.data_ptr()


class Half(nn.Module):
    """A layer of bfloat16 in a network of float32."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x.bfloat16()).float()


def half() -> tuple[Pair, nn.Parameter, nn.Parameter]:
    """A pair, and a weight of its G's layer of 16 bits, now and on average."""
    pair = odd(Half(), pair={"ema": 0.999})
    return pair, *(n[1].inner.weight for n in (pair.g, pair.average))  # type: ignore[index]


def test_an_average_of_16_bits_follows_steps_that_they_cannot_hold() -> None:
    pair, now, average = half()
    with torch.no_grad():
        now.fill_(1.0)
        average.fill_(0.5)
    pair.averaging.take_up(None)
    for _ in range(700):
        pair.update_average()
    expected = 1 - 0.5 * 0.999**700
    assert average.dtype == torch.bfloat16
    assert average.float().mean().item() == pytest.approx(expected, abs=4e-3)


def test_what_an_average_of_16_bits_cannot_hold_is_saved_and_travels() -> None:
    through, now, average = half()
    with torch.no_grad():
        now.fill_(1.0)
        average.fill_(0.5)
    through.averaging.take_up(None)
    resumed, taker = half()[0], half()[0]
    through.update_average()  # by .0005, of which no bfloat16 near .5 knows
    assert average.float().mean() == 0.5
    resumed.restore(unpack(pack(through.state())))
    taker.adopt("G", through.offer("G", "all"))
    for pair in (through, resumed, taker):
        for _ in range(5):
            pair.update_average()
        assert average.float().mean() > 0.5
        assert torch.equal(flat_average(pair), flat_average(through))


def flat_average(pair: Pair) -> Tensor:
    return torch.from_numpy(flatten(pair.average).copy())


def test_publishing_leaves_no_trace_in_the_training() -> None:
    image = {"data": "mnist", "network": {"name": "dcgan", "width": 4, "z_dim": 8}, "batch_size": 8}
    for samples in (0, 2):
        shelf = Shelf()
        quiet, loud = (
            make(**image),
            make(sharing=Sharing(every=1, samples=samples, optimizer=True), **image),
        )
        quiet.train(3, Shelf())
        loud.train(3, shelf)
        assert state_digest(quiet.state()) == state_digest(loud.state())
        assert [p.version for p in shelf.got] == [1, 2, 3]


def test_versions_are_published_at_one_and_then_every_lifetime() -> None:
    shelf = Shelf()
    make(sharing=Sharing(every=5)).train(12, shelf)
    assert [p.version for p in shelf.got] == [1, 6, 11]


def test_a_publication_holds_the_discriminator_of_its_version() -> None:
    shelf = Shelf()
    pair = make(sharing=Sharing(every=2))
    pair.train(3, shelf)
    assert np.array_equal(shelf.got[-1].arrays["D"], flatten(pair.d))
    pair.train(1, shelf)
    assert not np.array_equal(shelf.got[-1].arrays["D"], flatten(pair.d))


def test_a_discriminator_moves_whole_from_pair_to_pair() -> None:
    a, b = make("pair-00"), make("pair-01")
    a.train(3, Shelf())
    b.train(3, Shelf())
    moved = a.offer("D", "all")
    b.adopt("D", moved)
    assert b.offer("D", "all").fingerprint == moved.fingerprint
    assert b.identity["D"] == "pair-00"
    assert "optimizer" in moved.arrays, "the optimizer's state must travel"
    assert np.array_equal(flatten(a.d), flatten(b.d))
    b.train(1, Shelf())
    assert a.offer("D", "all").fingerprint == moved.fingerprint, "the giver keeps a copy of its own"


def test_after_a_swap_training_goes_on_as_with_one_owner() -> None:
    """b with a's whole D = a's D trained at b's seat: moments travel, not only weights."""
    a, b, c = make("pair-00"), make("pair-01"), make("pair-01")
    for p in (a, b, c):
        p.train(3, Shelf())
    b.adopt("D", a.offer("D", "all"))
    c.adopt("D", a.offer("D", "weights"))
    b.train(1, Shelf())
    c.train(1, Shelf())
    assert not np.array_equal(flatten(b.d), flatten(c.d)), "fresh moments against a's"


def test_rates_move_after_a_swap_and_come_back() -> None:
    """Factors of the authors' code: 1 + 0.3/(s + 0.3) for G, 1 - 0.3/(s + 0.6) for D."""
    pair = make()
    pair.parts = replace(pair.parts, smooth_steps=4)
    pair.swapped_at = pair.step = 10
    seen = []
    for pair.step in (10, 11, 13, 14):
        pair.set_rates()
        seen.append(
            (pair.opt_g.param_groups[0]["lr"] / 1e-3, pair.opt_d.param_groups[0]["lr"] / 1e-3)
        )
    assert seen[0] == pytest.approx((2.0, 0.5))
    assert seen[1] == pytest.approx((1 + 0.3 / 1.3, 1 - 0.3 / 1.6))
    assert seen[3] == pytest.approx((1.0, 1.0))


def test_another_architecture_is_refused() -> None:
    state = make().state()
    with pytest.raises(CheckpointError, match="signature"):
        make(network={"name": "mlp", "hidden": 8, "z_dim": 2}).restore(state)


def test_ema_follows_the_generator_slowly() -> None:
    pair = make(pair={"ema": 0.9})
    start = flatten(pair.g).copy()
    pair.train(1, Shelf())
    expected = 0.9 * start + 0.1 * flatten(pair.g)
    assert np.allclose(pair.generator_vector(), expected, atol=1e-7)
    assert not np.array_equal(pair.generator_vector(), flatten(pair.g))


def test_input_noise_decays_to_nothing() -> None:
    pair = make(pair={"input_noise": 0.5, "input_noise_steps": 10})
    x = torch.zeros(2000, 2)
    stds = []
    for step in (0, 5, 10, 11):
        pair.step = step
        stds.append(pair.blur(x, pair.streams.at("n", step)).std().item())
    assert stds[0] == pytest.approx(0.5, rel=0.05)
    assert stds[1] == pytest.approx(0.25, rel=0.05)
    assert stds[2:] == [0.0, 0.0]


def test_clipping_bounds_the_gradient_norm() -> None:
    pair = make(pair={"clip_grad_d": 1e-3})
    pair.train(1, Shelf())
    norm = math.sqrt(
        sum(float(p.grad.square().sum()) for p in pair.d.parameters() if p.grad is not None)
    )
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_linear_decay_reaches_zero_at_the_last_step() -> None:
    pair = make(pair={"lr_decay": "linear"})
    pair.step = 6
    pair.set_rates()
    assert pair.opt_g.param_groups[0]["lr"] == pytest.approx(0.5e-3)
    pair.step = 12
    pair.set_rates()
    assert pair.opt_g.param_groups[0]["lr"] == 0.0


def test_one_mechanism_is_under_both_ways_to_let_rates_fall() -> None:
    """lr_decay is short for a straight schedule to 0; a schedule.lr that is given counts instead;
    bit for bit.
    """
    ways = [{"lr_decay": "linear"}, {"schedule": {"lr": 0.0, "shape": "linear"}},
            {"lr_decay": "linear", "schedule": {"lr": 0.1}}, {"schedule": {"lr": 0.1}}]  # fmt: skip
    pairs = [make(pair=way) for way in ways]
    for step in range(15):
        for pair in pairs:
            pair.step = step
        short, long, both, given = (pair.scheduled.rate(step) for pair in pairs)
        assert short == long == max(0.0, 1.0 - step / 12)
        assert both == given


def test_a_schedule_moves_what_it_names_and_nothing_else() -> None:
    """From the start value to the end value by half a cosine, and then it stays; by a function of
    the step alone.
    """
    moves = {"lr": 0.5, "beta1": 0.0, "beta2": 0.9, "gamma": 0.0, "ema": 0.5, "steps": 8}
    pair, plain = make(pair={"ema": 0.9, "schedule": moves}), make(pair={"ema": 0.9})
    rates, betas = [], []
    for step in (0, 4, 8, 11):
        pair.step = plain.step = step
        pair.set_rates(), plain.set_rates()
        rates.append(pair.opt_d.param_groups[0]["lr"])
        betas.append(pair.opt_g.param_groups[0]["betas"])
        assert plain.opt_d.param_groups[0]["lr"] == 1e-3
        assert (plain.scheduled.ema(step), plain.update_of_d(0, 1).gamma) == (0.9, 1.0)
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.5e-3, 0.5e-3])
    assert [b for b, _ in betas] == pytest.approx([0.5, 0.25, 0.0, 0.0])
    assert [b for _, b in betas] == pytest.approx([0.999, 0.9495, 0.9, 0.9])
    assert (pair.scheduled.ema(step), pair.update_of_d(1, 2)) == (0.5, (23, 0.0))


def test_a_nan_loss_skips_the_step_and_ends_the_run_after_max_bad_steps() -> None:
    pair = make(pair={"max_bad_steps": 3})
    pair.train(2, Shelf())
    with torch.no_grad():
        next(pair.d.parameters())[0, 0] = math.nan
    before = flatten(pair.g).copy()
    report = pair.train(2, Shelf())
    assert report["bad_steps"] == 2
    assert np.array_equal(flatten(pair.g), before), "a bad step changes nothing"
    with pytest.raises(NonFiniteError, match="pair-00: loss_d=nan"):
        pair.train(1, Shelf())


def test_weights_that_are_not_finite_are_never_published() -> None:
    pair = make(sharing=Sharing(every=1))
    with torch.no_grad():
        next(pair.d.parameters())[0, 0] = math.inf
    with pytest.raises(NonFiniteError, match="pair-00"):
        pair.publication()


def test_feature_matching_adds_the_distance_of_mean_features() -> None:
    """|| E f(real) - E f(fake) ||^2 over D's last hidden layer, beside the adversarial loss, never
    alone.
    """
    from raygan.gan.steps import feature_distance, g_step

    pair = make()
    z = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    real = torch.randn(16, 2, generator=torch.Generator().manual_seed(1))
    distance, logits = feature_distance(pair.d, real, pair.g(z))
    body = pair.d[:-2]  # type: ignore[index]
    expected = (body(real).mean(0) - body(pair.g(z)).mean(0)).square().sum()
    assert distance.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(logits, pair.d(pair.g(z)))
    plain = pair.loss.g_loss(logits).item()
    value = g_step(pair.g, pair.d, pair.opt_g, pair.loss, z, real=real, matching=3.0)
    assert value == pytest.approx(plain + 3 * distance.item(), rel=1e-5)
    a, b = make(), make(pair={"feature_matching": 1.0})
    a.train(2, Shelf())
    b.train(2, Shelf())
    assert not np.array_equal(flatten(a.g), flatten(b.g))


def test_a_generator_moves_with_its_moving_average_and_its_identity() -> None:
    a, b = (make(name, pair={"ema": 0.9}) for name in ("pair-00", "pair-01"))
    a.train(3, Shelf())
    b.adopt("G", a.offer("G", "weights"))
    assert np.array_equal(b.generator_vector(), a.generator_vector())
    assert not np.array_equal(b.generator_vector(), flatten(b.g)), "the average, not the weights"
    assert (b.identity, b.swapped_at) == ({"D": "pair-01", "G": "pair-00"}, 0)
    assert "average" not in a.offer("D", "all").arrays


@pytest.mark.parametrize("what", ["G", "pair"])
def test_a_generator_moves_between_one_that_averages_and_one_that_does_not(what: Any) -> None:
    averages, plain = make(pair={"ema": 0.9}), make("pair-01")
    averages.train(3, Shelf())
    plain.train(2, Shelf())
    to_plain, to_averages = averages.offer(what, "all"), plain.offer(what, "all")
    g, other = flatten(averages.g), flatten(plain.g)
    plain.adopt(what, to_plain)
    assert np.array_equal(flatten(plain.g), g), "trained weights, not their average"
    averages.adopt(what, to_averages)
    assert np.array_equal(averages.generator_vector(), other), "no average of a G that has left"
    averages.train(1, Shelf())
    assert not np.array_equal(flatten(averages.average), flatten(averages.g))


@pytest.mark.parametrize("carry", ["all", "weights"])
def test_a_whole_pair_moves_with_the_name_of_its_generator(carry: Any) -> None:
    a, b = (make(name, pair={"ema": 0.9}) for name in ("pair-00", "pair-01"))
    a.train(3, Shelf())
    parcel = a.offer("pair", carry)
    b.adopt("pair", parcel)
    assert np.array_equal(b.generator_vector(), a.generator_vector())
    assert np.array_equal(b.discriminator_vector(), a.discriminator_vector())
    assert b.identity == {"D": "pair-00", "G": "pair-00"}
    back = joined(*apart(parcel))
    assert (back.identity, back.step) == (parcel.identity, parcel.step) == ("pair-00", 3)
    assert back.fingerprint == parcel.fingerprint


def test_a_fingerprint_tells_all_that_travels_apart() -> None:
    pair = make(pair={"ema": 0.9})
    pair.train(2, Shelf())
    parcel = pair.offer("G", "all")
    assert sorted(parcel.arrays) == ["average", "optimizer", "weights"]
    for key, array in parcel.arrays.items():
        changed = array.copy()
        changed[-1] += 1
        assert (
            replace(parcel, arrays={**parcel.arrays, key: changed}).fingerprint
            != parcel.fingerprint
        ), key
    assert (
        replace(parcel, arrays={"weights": parcel.arrays["weights"]}).fingerprint
        != parcel.fingerprint
    )


@pytest.mark.parametrize("what", ["D", "G"])
def test_a_network_that_is_not_finite_is_never_offered(what: Any) -> None:
    pair = make()
    network = pair.d if what == "D" else pair.g
    next(network.parameters()).data[0] = math.nan
    with pytest.raises(NonFiniteError):
        pair.offer(what, "all")


@pytest.mark.parametrize("where", ["d", "g", "opt_d", "opt_g"])
def test_a_check_looks_at_weights_and_at_what_optimizers_hold(where: str) -> None:
    pair = make()
    pair.train(1, Shelf())
    pair.check()
    if where.startswith("opt"):
        slots = next(iter(getattr(pair, where).state.values()))
        slots["exp_avg"].view(-1)[0] = math.inf
    else:
        next(getattr(pair, where).parameters()).data[0] = math.nan
    with pytest.raises(NonFiniteError, match="pair-00"):
        pair.check()


@pytest.mark.parametrize("where", ["d", "opt_g"])
def test_large_numbers_are_finite_though_their_squares_are_not(where: str) -> None:
    pair = make()
    pair.train(1, Shelf())
    if where == "d":
        next(pair.d.parameters()).data[0] = 3e38
    else:
        next(iter(pair.opt_g.state.values()))["exp_avg_sq"].view(-1)[0] = 3e38
    try:
        pair.check()
    except NonFiniteError as error:
        pytest.fail(f"3e38 is finite: {error}")


def test_counters_go_on_after_a_restore() -> None:
    pair, other = make(), make()
    pair.bad_steps.total, pair.bad_steps.in_a_row, pair.swapped_at, pair.step = 5, 3, 6, 9
    pair.identity = {"D": "pair-04", "G": "pair-05"}
    pair.streams.take_turn(2)
    other.restore(unpack(pack(pair.state())))
    assert (
        other.bad_steps.total,
        other.bad_steps.in_a_row,
        other.swapped_at,
        other.step,
        other.streams.turn,
    ) == (
        5,
        3,
        6,
        9,
        2,
    )
    assert other.identity == pair.identity
    assert other.streams.player == "pair-00~2"
    other.streams.take_turn(0)
    assert other.streams.player == "pair-00"


def test_large_numbers_whose_sum_overflows_are_finite() -> None:
    large = np.full(10, 3e38, np.float32)
    with np.errstate(over="ignore"):
        assert finite("pair-00", 1, large) is large
        large[3] = np.inf
        with pytest.raises(NonFiniteError):
            finite("pair-00", 1, large)


def test_a_state_of_before_turns_and_swaps_is_one_of_a_pair_that_had_none() -> None:
    ours, other = make(), make()
    ours.streams.take_turn(3)
    ours.swapped_at, ours.identity["D"] = 9, "pair-07"
    old = {
        k: v
        for k, v in other.state().items()
        if k not in ("turn", "swapped_at", "identity.D", "identity.G")
    }
    ours.restore(old)
    assert (ours.streams.turn, ours.streams.player, ours.swapped_at) == (0, "pair-00", -1)
    assert ours.identity == {"D": "pair-00", "G": "pair-00"}


def test_tensors_without_numbers_and_counts_are_no_reason_to_stop() -> None:
    pair = make()
    pair.train(1, Shelf())
    pair.d.register_parameter("none", torch.nn.Parameter(torch.empty(0)))
    weight = next(pair.d.parameters())
    pair.opt_d.state[weight]["count"] = torch.tensor(3)
    pair.check()
    pair.opt_d.state[weight]["mean"] = torch.tensor(math.inf)
    with pytest.raises(NonFiniteError):
        pair.check()
