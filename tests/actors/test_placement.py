from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.actors.placement import fits, place
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
        (
            {"gpus_per_pair": 1.0},
            {"CPU": 2},
            r"gpus_per_pair = 1: 3 actors need 3 GPUs, the cluster has 0",
        ),
        ({"gpus_per_pair": 0.5}, {"CPU": 8, "GPU": 1}, "need 1.5 GPUs, the cluster has 1"),
        ({"cpus_per_pair": 4.0}, {"CPU": 2}, "cpus_per_pair = 4"),
        ({}, {}, "3 actors would share 0 CPUs"),
    ],
)
def test_infeasible_demands_are_refused_with_the_numbers(
    settings: Mapping[str, float], cluster: Mapping[str, float], text: str
) -> None:
    with pytest.raises(InfeasibleError, match=text) as error:
        place(3, ResourcesConfig(**settings), cluster)  # type: ignore[arg-type]
    assert error.value.exit_code == 3


def test_more_actors_than_hundredths_of_a_cpu() -> None:
    with pytest.raises(
        InfeasibleError,
        match=r"1001 actors would share 2 CPUs, less than .01 each.* Lower num_pairs",
    ):
        place(1001, ResourcesConfig(), {"CPU": 2.0})


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 8]), st.integers(0, 4)), min_size=1, max_size=5),
)
def test_equal_shares_fit_into_the_nodes_that_there_are(
    players: int, sizes: list[tuple[int, int]]
) -> None:
    """No player lies across two nodes or two GPUs: Ray would wait for ever."""
    nodes = [{"CPU": float(c), "GPU": float(g)} for c, g in sizes]
    total = {k: sum(n[k] for n in nodes) for k in ("CPU", "GPU")}
    try:
        placement = place(players, ResourcesConfig(gpus_per_pair=0), total, nodes)
    except InfeasibleError:
        assert total["CPU"] < 0.02 * players
        return
    assert fits(placement.bundles, nodes)
    assert placement.cpus >= min(1.0, total["CPU"] / (players + 1) / 2) - 0.02, (
        "not less than half of an even share"
    )


def test_players_that_only_fit_in_sum_are_refused_at_once() -> None:
    nodes = [{"CPU": 1.0}, {"CPU": 1.0}]
    with pytest.raises(InfeasibleError, match=r"3 actors do not fit into the nodes \(1, 1 CPUs\)"):
        place(3, ResourcesConfig(cpus_per_pair=0.55), {"CPU": 2.0}, nodes)


def test_a_share_of_a_gpu_lies_in_one_gpu() -> None:
    assert place(3, ResourcesConfig(), {"CPU": 8.0, "GPU": 2.0}).gpus == 0.5
    assert place(2, ResourcesConfig(), {"CPU": 8.0, "GPU": 8.0}).gpus == 1.0
    with pytest.raises(InfeasibleError, match="do not fit into the nodes"):
        place(3, ResourcesConfig(gpus_per_pair=0.6), {"CPU": 8.0, "GPU": 2.0})


def test_gpus_can_be_left_alone() -> None:
    assert place(4, ResourcesConfig(gpus_per_pair=0), {"CPU": 4, "GPU": 1}).gpus == 0
