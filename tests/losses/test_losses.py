import pytest
import torch
from torch import nn

from raygan.config import Component, load_component, names
from raygan.errors import ConfigError
from raygan.gan.later import read
from raygan.gan.meter import Meter
from raygan.gan.steps import d_backward, g_step
from raygan.gan.types import NOW, At, Loss, g_loss_of
from raygan.losses.base import LossComponent, examine

SEVERAL = {"d2gan", "gman"}
LOSSES = [n for n in names("loss") if n not in SEVERAL]
REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def loss(name: str, **settings: float) -> Loss:
    return load_component("loss", {"name": name, **settings})  # type: ignore[return-value]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_finite_and_pulls_the_right_way(name: str) -> None:
    component = loss(name)
    for scale in (1.0, 80.0):
        real, fake = (REAL * scale).requires_grad_(), (FAKE * scale).requires_grad_()
        value = component.d_loss(real, fake)
        grads = torch.autograd.grad(value, (real, fake))
        assert torch.isfinite(value)
        assert all(torch.isfinite(g).all() for g in grads)
    real, fake = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    up, down = torch.autograd.grad(component.d_loss(real, fake), (real, fake))
    assert (up <= 0).all(), "D does not lower its logit on real samples"
    assert up.sum() < 0, "D raises its logit on real samples"
    assert (down >= 0).all(), "D does not raise its logit on fake samples"
    logits = torch.zeros(2, requires_grad=True)
    (grad,) = torch.autograd.grad(g_loss_of(component, logits, lambda: torch.zeros(2)), logits)
    assert (grad < 0).all(), "G raises D's logit"


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_knows_whether_every_sample_weighs_the_same(name: str) -> None:
    component = loss(name)
    weights = []
    for at in (0.0, 0.3):
        logits = torch.full((2,), at, requires_grad=True), torch.full((2,), -at, requires_grad=True)
        weights.append(torch.cat(torch.autograd.grad(component.d_loss(*logits), logits)))
    assert torch.equal(*weights) is component.linear


def test_values_by_hand() -> None:
    softplus = torch.nn.functional.softplus
    assert (
        loss("non_saturating").d_loss(REAL, FAKE) == softplus(-REAL).mean() + softplus(FAKE).mean()
    )
    assert loss("non_saturating").g_loss(FAKE).item() == pytest.approx(
        -torch.sigmoid(FAKE).log().mean().item(), rel=1e-5
    )
    assert loss("wgan").d_loss(REAL, FAKE).item() == pytest.approx(-1.25 - 0.5)
    assert loss("hinge").d_loss(REAL, FAKE).item() == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert loss("least_squares").d_loss(REAL, FAKE).item() == pytest.approx(0.5 * (2.5 + 4.625))
    assert loss("least_squares").g_loss(FAKE).item() == pytest.approx(0.5 * (0.25 + 16) / 2)


def test_steps_of_d_are_the_papers() -> None:
    assert (loss("wgan").d_steps, loss("wgan_gp").d_steps, loss("dragan").d_steps) == (5, 5, 1)


PROPERTIES = ("needs_real", "critic", "density_ratio")


def test_what_others_have_to_know_is_a_property() -> None:
    told = {n: [p for p in PROPERTIES if getattr(loss(n), p)] for n in names("loss")}
    assert {n: found for n, found in told.items() if found} == {
        "dragan": ["density_ratio"], "non_saturating": ["density_ratio"],
        "reverse_kl": ["density_ratio"], "r3gan": ["needs_real", "critic"],
        "relativistic": ["needs_real", "critic"], "wgan": ["critic"], "wgan_gp": ["critic"],
        "d2gan": ["critic"],
    }  # fmt: skip


@pytest.mark.parametrize("name", names("loss"))
def test_a_threshold_is_where_real_and_fake_pull_alike(name: str) -> None:
    """There a D that cannot tell them stays, and who is right or wrong is counted by it."""
    component = loss(name)
    judges = {1: (), 2: (2,), None: (3,)}[component.num_judges]  # type: ignore[attr-defined]
    meter, at = Meter(), component.threshold
    meter.look(component, torch.tensor([2.0, 0.7]), torch.tensor([0.2, -9.0]))
    seen = meter.means(read(meter.values()))
    if at is None:
        assert seen.keys() == {"d_real", "d_fake"}
        return
    real, fake = (torch.full((4, *judges), at, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(component.d_loss(real, fake), (real, fake))
    assert torch.allclose(up, -down)
    assert (up < 0).all()
    assert seen["d_accuracy"] == (1.0 if at == 0.5 else 0.75)


@pytest.mark.parametrize("name", ["wgan_gp", "dragan"])
def test_a_gradient_penalty_is_weight_times_squared_distance_from_norm_one(name: str) -> None:
    d = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        d[0].weight.copy_(torch.tensor([[3.0, 4.0]]))  # gradient norm 5 everywhere
    x = torch.randn(7, 2)
    penalty = loss(name, weight=0.5).penalty(d, x, x + 1, torch.Generator())
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.5 * 16)
    penalty.backward()
    assert d[0].weight.grad is not None
    assert d[0].weight.grad.abs().sum() > 0


def test_a_gradient_penalty_is_finite_where_the_gradient_vanishes() -> None:
    d = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Flatten(0))
    with torch.no_grad():
        d[0].weight.zero_()
        d[0].bias.fill_(-1)
    penalty = loss("wgan_gp").penalty(d, torch.randn(3, 2), torch.randn(3, 2), torch.Generator())
    assert penalty is not None
    penalty.backward()
    assert torch.isfinite(d[0].weight.grad).all()


def test_dragan_looks_near_the_data_and_wgan_gp_between_data_and_fakes() -> None:
    seen: list[torch.Tensor] = []

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.detach())
            return x.sum(1)

    real, fake = torch.zeros(500, 2), torch.full((500, 2), 10.0)
    loss("wgan_gp").penalty(Spy(), real, fake, torch.Generator().manual_seed(0))
    assert 0 <= seen[0].min() < 1
    assert 9 < seen[0].max() <= 10
    assert torch.allclose(seen[0][:, 0], seen[0][:, 1]), "one number a sample"
    spread = torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    loss("dragan").penalty(Spy(), spread, fake, torch.Generator().manual_seed(0))
    assert (seen[1] - spread).abs().max() <= 0.5 * spread.std() + 1e-6


def test_wgan_clips_every_weight() -> None:
    d = nn.Linear(3, 1)
    loss("wgan", clip=0.01).after_d_step(d)
    assert max(p.abs().max().item() for p in d.parameters()) <= 0.01


def test_reverse_kl_is_truncated_and_finite_at_any_logit() -> None:
    """Gradient -1/B per sample below t, 0 above; finite at +-80; the printed sign runs the other
    way.
    """
    logits = torch.tensor([-80.0, 0.0, 2.1, 2.3, 80.0], requires_grad=True)  # logit 0.9 = 2.197
    value = loss("reverse_kl").g_loss(logits)
    (grad,) = torch.autograd.grad(value, logits)
    assert torch.isfinite(value)
    assert grad.tolist() == pytest.approx([-0.2, -0.2, -0.2, 0.0, 0.0])
    (printed,) = torch.autograd.grad(
        loss("reverse_kl", sign="as_printed").g_loss(logits),  # type: ignore[arg-type]
        logits,
    )
    assert torch.equal(printed, -grad)


def test_d2gan_by_hand() -> None:
    real, fake = torch.tensor([[1.0, -1.0], [2.0, 0.0]]), torch.tensor([[0.5, 1.5], [-0.5, 3.0]])
    soft = torch.nn.functional.softplus
    d1, d2, e1, e2 = soft(real[:, 0]), soft(real[:, 1]), soft(fake[:, 0]), soft(fake[:, 1])
    value = -(0.2 * d1.log().mean() - e1.mean() - d2.mean() + 0.1 * e2.log().mean())
    component = loss("d2gan", alpha=0.2, beta=0.1)
    assert component.d_loss(real, fake).item() == pytest.approx(value.item(), rel=1e-5)
    assert component.g_loss(fake).item() == pytest.approx(
        (-e1.mean() + 0.1 * e2.log().mean()).item(), rel=1e-5
    )


def test_gman_goes_from_the_mean_to_the_harshest_judge() -> None:
    fake = torch.tensor([[0.5, -2.0, 1.0], [-0.5, -3.0, 2.0]])
    each = torch.nn.functional.softplus(-fake).mean(0)
    assert loss("gman").g_loss(fake).item() == pytest.approx(each.mean().item(), rel=1e-5)
    assert loss("gman", harshness=100.0).g_loss(fake).item() == pytest.approx(
        each.max().item(), rel=1e-5
    )
    vanilla = sum(loss("non_saturating").d_loss(fake[:, i], -fake[:, i]).item() for i in range(3))
    assert loss("gman").d_loss(fake, -fake).item() == pytest.approx(vanilla, rel=1e-5)


# -------------------------------------------------------------------------------------------------
# R1, R2, R3GAN


def small(outputs: int) -> nn.Sequential:
    torch.manual_seed(outputs)
    return nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, outputs))


def by_hand(d: nn.Module, real: torch.Tensor, fake: torch.Tensor, gamma: float) -> torch.Tensor:
    """R3GAN's loss of D, written down once more: Huang et al., 2024, eq. 2 and 4."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    on_real, on_fake = d(real), d(fake)
    (r,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
    (f,) = torch.autograd.grad(on_fake.sum(), fake, create_graph=True)
    penalties = gamma / 2 * ((r**2).sum(1).mean() + (f**2).sum(1).mean())
    return torch.log1p(torch.exp(-(on_real - on_fake))).mean() + penalties


def gradient(network: nn.Module) -> torch.Tensor:
    return torch.cat(
        [
            torch.zeros(p.numel()) if p.grad is None else p.grad.reshape(-1)
            for p in network.parameters()
        ]
    )


def test_r3gans_gradients_are_those_of_its_formulas() -> None:
    g, d = small(2), nn.Sequential(small(1), nn.Flatten(0))
    z, real = torch.randn(64, 2), torch.randn(64, 2)
    with torch.no_grad():
        fake = g(z)
    value = d_backward(d, loss("r3gan", r1=0.3, r2=0.3), real, fake, torch.Generator())
    ours = gradient(d)
    d.zero_grad()
    wanted = by_hand(d, real, fake, 0.3)
    wanted.backward()
    assert value == pytest.approx(wanted.item(), rel=1e-6)
    assert torch.allclose(ours, gradient(d), rtol=1e-6, atol=1e-7)

    still = torch.optim.SGD(g.parameters(), lr=0.0)
    g_step(g, d, still, loss("r3gan"), z, real=real)
    ours = gradient(g)
    g.zero_grad()
    torch.log1p(torch.exp(-(d(g(z)) - d(real)))).mean().backward()
    assert torch.allclose(ours, gradient(g), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_r1_and_r2_beside_its_own_penalty(name: str) -> None:
    """On a D with one gradient everywhere, |grad|^2 = 25: gamma / 2 of it each."""
    d = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        d[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    x = torch.randn(7, 2)
    parts = []
    for r1, r2 in ((0.0, 0.0), (0.2, 0.0), (0.2, 0.4)):
        found = loss(name, r1=r1, r2=r2).penalty(d, x, x + 1, torch.Generator().manual_seed(0))
        parts.append(0.0 if found is None else found.item())
    assert parts[1] - parts[0] == pytest.approx(0.1 * 25, rel=1e-5)
    assert parts[2] - parts[1] == pytest.approx(0.2 * 25, rel=1e-5)


def test_a_lazy_penalty_is_as_strong_in_the_mean() -> None:
    d, x = nn.Sequential(small(1), nn.Flatten(0)), torch.randn(9, 2)
    always, lazy = loss("hinge", r1=0.2), loss("hinge", r1=0.2, penalty_every=4)
    whole = always.penalty(d, x, x, torch.Generator())
    assert whole is not None
    found = [lazy.penalty(d, x, x, torch.Generator(), At(update)) for update in range(8)]
    assert [f is not None for f in found] == [True, False, False, False] * 2
    assert sum(f.item() for f in found if f is not None) / 8 == pytest.approx(
        whole.item(), rel=1e-5
    )
    halved = always.penalty(d, x, x, torch.Generator(), NOW._replace(gamma=0.5))
    assert halved is not None
    assert halved.item() == pytest.approx(whole.item() / 2, rel=1e-6)


class Vector(LossComponent):
    def d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return fake - real

    def g_loss(self, fake: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        return -fake.mean()


class Number(Vector):
    def d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return fake.mean().item()  # type: ignore[return-value]


class Nan(Vector):
    def d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return fake.mean().log() * 0 - real.exp().exp().exp().mean()


class Cut(Vector):
    def d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return real.mean() - fake.detach().mean()


@pytest.mark.parametrize(
    ("cls", "line"),
    [
        (Vector, r"d_loss returns shape \(8,\), not a scalar tensor. Take its mean"),
        (Number, "d_loss returns float, not a scalar tensor"),
        (Nan, "d_loss is (nan|-inf|inf) on logits drawn from"),
        (Cut, "d_loss has no gradient by its logits"),
    ],
)
def test_a_loss_that_cannot_be_minimised_is_refused_in_one_line(
    cls: type[LossComponent], line: str
) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        examine(cls(), 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", names("loss"))
def test_the_losses_that_are_there_can_be_minimised(name: str) -> None:
    component = loss(name)
    assert isinstance(component, LossComponent)
    examine(component, {1: 1, 2: 2, None: 3}[component.num_judges])


def test_a_loss_without_one_of_its_two_halves_cannot_be_made() -> None:
    class Half(LossComponent):
        def d_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
            return fake.mean()

    with pytest.raises(TypeError, match="g_loss"):
        Half()  # type: ignore[abstract]
    assert issubclass(Half, Component)
