"""Modules and names that were moved: code written against the old ones goes on, with a
DeprecationWarning. Out with 0.3.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "raygan.actors.deaths": "raygan.actors.liveness",
    "raygan.actors.deputy": "raygan.actors.messenger_worker",
    "raygan.actors.exchange": "raygan.actors.publications",
    "raygan.actors.household": "raygan.actors.worker_group",
    "raygan.actors.outlook": "raygan.actors.capacity",
    "raygan.controller.gathering": "raygan.controller.checkpoint_assembly",
    "raygan.controller.hosting": "raygan.controller.worker",
    "raygan.controller.lines": "raygan.controller.jsonl",
    "raygan.controller.listening": "raygan.controller.own_listeners",
    "raygan.controller.objects": "raygan.object_store",
    "raygan.controller.pace": "raygan.controller.max_ahead",
    "raygan.controller.scaling": "raygan.controller.membership",
    "raygan.controller.uneven": "raygan.controller.stragglers",
    "raygan.controller.versions": "raygan.controller.run_format",
    "raygan.data.asking": "raygan.data.questions",
    "raygan.data.kept": "raygan.data.cache_listing",
    "raygan.data.room": "raygan.data.free_memory",
    "raygan.data.watching": "raygan.watching",
    "raygan.data.written": "raygan.data.pillow_fixes",
    "raygan.gan.streams": "raygan.gan.random_streams",
    "raygan.gan.transfer": "raygan.gan.host_copies",
    "raygan.networks.alike": "raygan.networks.equivalence",
    "raygan.service.code": "raygan.service.runs.code",
    "raygan.service.dashboards": "raygan.service.cluster.dashboards",
    "raygan.service.diagnostics": "raygan.service.views.diagnostics",
    "raygan.service.digest": "raygan.service.runs.digest",
    "raygan.service.doctor": "raygan.service.cluster.doctor",
    "raygan.service.door": "raygan.service.views.access",
    "raygan.service.evaluate": "raygan.service.scores.evaluate",
    "raygan.service.export": "raygan.service.scores.export",
    "raygan.service.feed": "raygan.service.views.follow",
    "raygan.service.fitting": "raygan.service.scores.fitting",
    "raygan.service.generators": "raygan.service.runs.generators",
    "raygan.service.identity": "raygan.service.runs.identity",
    "raygan.service.inspecting": "raygan.service.runs.inspecting",
    "raygan.service.jobs": "raygan.service.cluster.jobs",
    "raygan.service.judging": "raygan.service.scores.gam2",
    "raygan.service.likelihood": "raygan.service.scores.likelihood",
    "raygan.service.lineage": "raygan.service.runs.lineage",
    "raygan.service.listing": "raygan.service.runs.listing",
    "raygan.service.live": "raygan.service.views.live",
    "raygan.service.origins": "raygan.service.runs.warm_start",
    "raygan.service.package": "raygan.service.cluster.package",
    "raygan.service.packing": "raygan.service.autopack",
    "raygan.service.pictures": "raygan.service.views.pictures",
    "raygan.service.provenance": "raygan.service.runs.provenance",
    "raygan.service.repair": "raygan.service.runs.repair",
    "raygan.service.report": "raygan.service.views.report",
    "raygan.service.run": "raygan.service.runs.run",
    "raygan.service.sampling": "raygan.service.scores.sampling",
    "raygan.service.schedules": "raygan.service.runs.schedules",
    "raygan.service.secret_files": "raygan.service.cluster.secret_files",
    "raygan.service.sheet": "raygan.service.views.sheet",
    "raygan.service.summary": "raygan.service.runs.summary",
    "raygan.service.sweep": "raygan.service.sweeps.file",
    "raygan.service.sweep_report": "raygan.service.sweeps.report",
    "raygan.service.sweeping": "raygan.service.sweeps.tune",
    "raygan.service.tables": "raygan.service.views.tables",
    "raygan.service.trial": "raygan.service.sweeps.trial",
    "raygan.service.views.crowd": "raygan.service.views.heat_maps",
    "raygan.service.views.door": "raygan.service.views.access",
    "raygan.strategies.pack": "raygan.strategies.batching.pack",
    "raygan.strategies.pmgan_generator": "raygan.strategies.pmgan.generator",
    "raygan.strategies.pmgan_judge": "raygan.strategies.pmgan.judge",
    "raygan.strategies.pmgan_slots": "raygan.strategies.pmgan.slots",
    "raygan.strategies.sgan_crew": "raygan.strategies.sgan.messengers",
    "raygan.strategies.sgan_opponents": "raygan.strategies.sgan.opponents",
    "raygan.strategies.sgan_players": "raygan.strategies.sgan.global_pair",
    "raygan.strategies.stack": "raygan.strategies.batching.stack",
    "raygan.strategies.strategy": "raygan.strategies.base",
}


NAMES = {
    "raygan.actors.hub": {"HubLink": "raygan.actors.hub_link"},
    "raygan.controller.checkpoint": dict.fromkeys(
        ("list_checkpoints", "open_journal", "retain"), "raygan.controller.checkpoint_index"
    ),
    "raygan.gan.weights": {"Parcel": "raygan.gan.parcels"},
}
"""Module -> what was in it -> where that is now."""


def named(module: str, name: str) -> Any:
    """What a module had by this name: its `__getattr__`. Raises AttributeError."""
    if (new := NAMES[module].get(name)) is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warnings.warn(f"{module}.{name} is {new}.{name} now", DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(new), name)


class Moved(MetaPathFinder, Loader):
    """Finds the old names, after all that are there have been looked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of a module that was moved."""
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """The old name stands for the module itself, so that what is set in one is set in both."""
        new = MOVED[module.__name__]
        warnings.warn(f"{module.__name__} is {new} now", DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = importlib.import_module(new)


def install() -> None:
    """Make imports find the old names; once a process."""
    if not any(isinstance(finder, Moved) for finder in sys.meta_path):
        sys.meta_path.append(Moved())
