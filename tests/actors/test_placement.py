from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.actors.placement import place
from raygan.config import ResourcesConfig
from raygan.errors import InfeasibleError


@given(st.integers(1, 60), st.sampled_from([1, 2, 4, 64]), st.sampled_from([0, 1, 2, 8]))
def test_equal_shares_always_fit(players: int, cpus: int, gpus: int) -> None:
    placement = place(players, ResourcesConfig(), {"CPU": cpus, "GPU": gpus})
    need = {"CPU": 0.0, "GPU": 0.0}
    for bundle in placement.bundles:
        for kind, amount in bundle.items():
            need[kind] += amount
    assert need["CPU"] <= cpus + 1e-6
    assert need["GPU"] <= gpus + 1e-6
    assert placement.cpus > 0
    assert placement.cpus <= 1
    assert (placement.gpus > 0) == (gpus > 0)


@pytest.mark.parametrize(
    ("settings", "cluster", "text"),
    [
        ({"gpus_per_pair": 1.0}, {"CPU": 2}, r"gpus_per_pair = 1: 3 players need 3 GPUs, the cluster has 0"),
        ({"gpus_per_pair": 0.5}, {"CPU": 8, "GPU": 1}, "need 1.5 GPUs, the cluster has 1"),
        ({"cpus_per_pair": 4.0}, {"CPU": 2}, "cpus_per_pair = 4"),
        ({}, {}, "cluster has 0"),
    ],
)
def test_infeasible_demands_are_refused_with_the_numbers(
    settings: Mapping[str, float], cluster: Mapping[str, float], text: str
) -> None:
    with pytest.raises(InfeasibleError, match=text) as error:
        place(3, ResourcesConfig(**settings), cluster)  # type: ignore[arg-type]
    assert error.value.exit_code == 3


def test_gpus_can_be_left_alone() -> None:
    assert place(4, ResourcesConfig(gpus_per_pair=0), {"CPU": 4, "GPU": 1}).gpus == 0
