from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from raygan.actors.capacity import NodeType, Outlook, node_types, total
from raygan.actors.placement import fits, place, place_in
from raygan.config import ResourcesConfig, resolve
from raygan.errors import ConfigError, InfeasibleError


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


def test_shares_of_a_gpu_below_what_ray_counts_are_refused_and_not_taken_for_none() -> None:
    with pytest.raises(InfeasibleError, match=r"101 actors would share 1 GPUs.*gpus_per_pair \(0"):
        place(101, ResourcesConfig(), {"CPU": 200.0, "GPU": 1.0})
    assert place(100, ResourcesConfig(), {"CPU": 200.0, "GPU": 1.0}).gpus == 0.01
    assert place(101, ResourcesConfig(gpus_per_pair=0), {"CPU": 200.0, "GPU": 1.0}).gpus == 0


@pytest.mark.parametrize("gpus", [1.5, 2, 8])
def test_a_pair_trains_on_one_gpu(gpus: float) -> None:
    with pytest.raises(ConfigError, match=r"resources.gpus_per_pair.* less than or equal to 1"):
        resolve("ring8-sgan", flags={"resources.gpus_per_pair": gpus})


def test_strict_spread_takes_a_node_for_each_actor_and_strict_pack_one_for_all() -> None:
    nodes = [{"CPU": 4.0}] * 3
    spread = ResourcesConfig(placement="STRICT_SPREAD")
    assert place(2, spread, {"CPU": 12.0}, nodes).cpus == 1.0
    with pytest.raises(InfeasibleError, match=r"STRICT_SPREAD: 3 actors .* need 4 nodes, .* has 3"):
        place(3, spread, {"CPU": 12.0}, nodes)
    pack = ResourcesConfig(placement="STRICT_PACK")
    assert place(8, pack, {"CPU": 12.0}, nodes).cpus <= 4 / 8.5
    with pytest.raises(InfeasibleError, match=r"need 5.5 CPUs, STRICT_PACK .* largest has 4"):
        place(5, ResourcesConfig(placement="STRICT_PACK", cpus_per_pair=1.0, num_threads=1),
              {"CPU": 12.0}, nodes)  # fmt: skip


SPOT = NodeType("gpu_spot", {"CPU": 8.0, "GPU": 1.0}, 4)
EMPTY = [{"CPU": 0.0}]


def test_a_cluster_that_scales_from_zero_is_judged_by_what_it_can_become() -> None:
    found = place_in(3, ResourcesConfig(), Outlook(EMPTY, (SPOT,), 8))
    assert (found.cpus, found.gpus) == (1.0, 1.0), "GPUs that are to come are used"
    assert place_in(6, ResourcesConfig(), Outlook(EMPTY, (SPOT,), 8)).gpus == 0.5
    with pytest.raises(InfeasibleError, match="3 actors would share 0 CPUs"):
        place_in(3, ResourcesConfig(), Outlook(EMPTY))


def test_only_what_the_node_types_can_never_hold_is_refused() -> None:
    text = r"5 actors need 5 GPUs, the cluster can have 4"
    with pytest.raises(InfeasibleError, match=text):
        place_in(5, ResourcesConfig(gpus_per_pair=1.0), Outlook(EMPTY, (SPOT,), 8))
    with pytest.raises(InfeasibleError, match="the cluster can have 2"):
        place_in(4, ResourcesConfig(gpus_per_pair=1.0), Outlook(EMPTY, (SPOT,), 2))
    with pytest.raises(InfeasibleError, match="do not fit into the nodes"):  # 8 CPUs a node
        place_in(2, ResourcesConfig(cpus_per_pair=9.0), Outlook(EMPTY, (SPOT,), 8))


def test_nodes_that_are_up_are_not_counted_twice() -> None:
    up = [{"CPU": 0.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}]
    assert total(Outlook(up, (SPOT,), 4).rooms(9)) == {"CPU": 32.0, "GPU": 4.0}
    by_hand = [*up, {"CPU": 64.0}]
    assert total(Outlook(by_hand, (SPOT,), 4).rooms(9))["CPU"] == 96.0
    endless = NodeType("any", {"CPU": 2.0}, None)
    assert len(Outlook([], (endless,)).rooms(5)) == 6, "no more than they can use"


@given(st.integers(1, 12), st.integers(0, 6), st.integers(0, 6), st.integers(0, 10))
def test_what_is_asked_for_always_fits_into_what_may_come(
    players: int, cpu_nodes: int, gpu_nodes: int, most: int
) -> None:
    types = (NodeType("cpu", {"CPU": 4.0}, cpu_nodes), replace(SPOT, most=gpu_nodes))
    cluster = Outlook(EMPTY, types, most)
    try:
        found = place_in(players, ResourcesConfig(), cluster)
    except InfeasibleError:
        assert not min(most, cpu_nodes + gpu_nodes) or players > 8 * min(most, gpu_nodes)
        return
    assert found.fits(cluster.rooms(players))


def test_an_autoscaler_that_keeps_its_types_to_itself_is_asked() -> None:
    """KubeRay's: it knows what it can start, we do not."""
    cluster = Outlook(EMPTY, open=True)
    assert place_in(3, ResourcesConfig(), cluster).cpus == 1.0
    asked = place_in(3, ResourcesConfig(gpus_per_pair=0.5, cpus_per_pair=2.0), cluster)
    assert (asked.cpus, asked.gpus) == (2.0, 0.5)


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_the_shipped_files_say_what_their_clusters_can_become(name: str) -> None:
    text = (Path(__file__).parents[2] / "cluster" / name).read_text()
    assert node_types(yaml.safe_load(text)) == (
        (NodeType("gpu_spot", {"CPU": 8.0, "GPU": 1.0}, 8),),
        8,
    )
