"""What a cluster is, and what it can become: an autoscaler's node types count, with the nodes that
they may have.

node types are known from   the GCS, where the provider has told it (`ClusterConfig`)
                            the file that this machine's head was started with
                            (`--autoscaling-config`)
not known, but there is     an autoscaler (KubeRay's keeps its types to itself): whatever is asked
                            for is asked for, and it decides

Reading only; `placement.place` judges, `worker_group.reserve` asks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Room = Mapping[str, float]
KINDS = ("CPU", "GPU")


@dataclass(frozen=True)
class NodeType:
    """Nodes that an autoscaler may start."""

    name: str
    resources: Room
    most: int | None
    """None: any number."""


@dataclass(frozen=True)
class Outlook:
    """Of one cluster, at this moment."""

    nodes: Sequence[Room]
    """Of each node that is up."""
    types: tuple[NodeType, ...] = ()
    most: int | None = None
    """Nodes of all types together; None: any number."""
    open: bool = False
    """Is there an autoscaler of which the types are not known?"""

    @property
    def grows(self) -> bool:
        """May there be more than there is?"""
        return bool(self.types) or self.open

    def rooms(self, actors: int) -> list[Room]:
        """The nodes that are up, and those that may come; never more of a type than `actors` and
        one can use.

        >>> spot = NodeType("spot", {"CPU": 8.0}, 2)
        >>> Outlook([{"CPU": 0.0}, {"CPU": 8.0}], (spot,)).rooms(4)
        [{'CPU': 0.0}, {'CPU': 8.0}, {'CPU': 8.0}]
        """
        up = list(self.nodes)
        more = list[Room]()
        for kind in self.types:
            same = sum(alike(node, kind.resources) for node in up)
            most = actors + 1 if kind.most is None else min(kind.most - same, actors + 1)
            more += [kind.resources] * max(0, most)
        more.sort(key=lambda r: (-r.get("GPU", 0.0), -r.get("CPU", 0.0)))
        up_of_types = sum(any(alike(n, t.resources) for t in self.types) for n in up)
        room = None if self.most is None else max(0, self.most - up_of_types)
        return up + more[:room]


def alike(one: Room, other: Room) -> bool:
    """As many CPUs and GPUs?"""
    return all(one.get(k, 0.0) == other.get(k, 0.0) for k in KINDS)


def total(rooms: Sequence[Room]) -> dict[str, float]:
    """Of all of them together."""
    return {k: sum(room.get(k, 0.0) for room in rooms) for k in KINDS}


def outlook(scale: bool = True) -> Outlook:
    """Of the Ray that this process has joined; scale: False counts only what is up."""
    import ray

    up: list[Room] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not scale:
        return Outlook(up)
    types, most = _told_to_gcs() or _of_file() or ((), None)
    return Outlook(up, types, most, open=not types and _autoscales())


def _told_to_gcs() -> tuple[tuple[NodeType, ...], int | None] | None:
    # there is no public way
    from ray._private.state import state

    found = state.get_cluster_config()
    if found is None:
        return None
    groups: Any = found.node_group_configs
    types = tuple(
        NodeType(g.name, {k: float(v) for k, v in g.resources.items()}, None if n < 0 else n)
        for g in groups
        if (n := int(g.max_count))
    )
    return (types, None) if types else None


def _of_file() -> tuple[tuple[NodeType, ...], int | None] | None:
    """Of the head on this machine."""
    import ray

    address = ray.get_runtime_context().gcs_address
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            # the process has ended, or is somebody else's
            continue
        named = dict(w.split("=", 1) for w in words if w.startswith("--") and "=" in w)
        if named.get("--gcs-address") == address and "--autoscaling-config" in named:
            try:
                return node_types(yaml.safe_load(Path(named["--autoscaling-config"]).read_text()))
            except (OSError, yaml.YAMLError):
                return None
    return None


def node_types(config: Mapping[str, Any]) -> tuple[tuple[NodeType, ...], int | None] | None:
    """What a file for `ray up` says of workers.

    >>> node_types({"max_workers": 4, "available_node_types": {"spot": {"resources": {"CPU": 8}}}})
    ((NodeType(name='spot', resources={'CPU': 8.0}, most=4),), 4)
    """
    most = config.get("max_workers")
    types = list[NodeType]()
    for name, of in (config.get("available_node_types") or {}).items():
        if name == config.get("head_node_type"):
            continue
        limit = of.get("max_workers", most)
        resources = {k: float(v) for k, v in (of.get("resources") or {}).items() if k in KINDS}
        if resources and limit != 0:
            types.append(NodeType(str(name), resources, limit))
    return (tuple(types), most) if types else None


def _autoscales() -> bool:
    """Does anybody start nodes here? A plain cluster's monitor only looks on."""
    from ray._private import ray_constants
    from ray.experimental.internal_kv import _internal_kv_get

    return told_by_autoscaler(_internal_kv_get(ray_constants.DEBUG_AUTOSCALING_STATUS))


def told_by_autoscaler(status: bytes | None) -> bool:
    """Its report names types of nodes; one that only looks on makes up a name for each node.

    >>> told_by_autoscaler(b'{"autoscaler_report": {"active_nodes": {"workers": 1}}}')
    True
    >>> told_by_autoscaler(b'{"autoscaler_report": {"active_nodes": {"node_3f": 1}}}')
    False
    """
    try:
        report = json.loads(status or b"{}").get("autoscaler_report") or {}
    except ValueError:
        return False
    kinds = ("active_nodes", "idle_nodes", "pending_launches")
    names = [str(name) for kind in kinds for name in report.get(kind) or {}]
    return any(not name.startswith("node_") for name in names)
