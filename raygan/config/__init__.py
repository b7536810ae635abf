"""What a run is: settings, where each value came from, and the components that they name.

    default < preset < files in order < flags    resolve() merges, remembers the origin of each
                                                 value
    {"name": "sgan", "messenger_steps": 5}       a component: `name` is a file in a package
                                                 ("strategies/sgan/strategy.py"), the rest are the
                                                 fields of the one Component class in it

    section <- pair, resources, failures, intervals    a group of settings each
    run                                                Config: all of them
    files -> resolving                                 presets and YAML; laid over each other,
                                                       checked
    dotted                                             nested settings as paths

A new loss, network, data set or strategy is therefore one new file; nothing here knows their names.
This package imports neither torch nor Ray.
"""

from raygan.components import (
    KINDS,
    Component,
    Spec,
    load_component,
    names,
    shorthand,
    validate,
)
from raygan.config.dotted import dotted, settings_of
from raygan.config.failures import Action, FailuresConfig
from raygan.config.files import DEFAULT_PRESET, PRESETS, preset_values, presets, read_yaml
from raygan.config.intervals import CheckpointConfig, EvaluationConfig
from raygan.config.pair import SCHEDULED, PairConfig, PairGroup, ScheduleConfig
from raygan.config.resolving import Resolved, full_dump, load_parts, merge, resolve
from raygan.config.resources import BATCHED_BELOW, ResourcesConfig
from raygan.config.run import Config, Tempo
from raygan.config.section import Section, Travels

__all__ = [
    "BATCHED_BELOW", "DEFAULT_PRESET", "KINDS", "PRESETS", "SCHEDULED",
    "Action", "CheckpointConfig", "Component", "Config", "EvaluationConfig", "FailuresConfig",
    "PairConfig", "PairGroup", "Resolved", "ResourcesConfig", "ScheduleConfig", "Section", "Spec",
    "Tempo", "Travels", "dotted", "full_dump", "load_component", "load_parts", "merge", "names",
    "preset_values", "presets", "read_yaml", "resolve", "settings_of", "shorthand", "validate",
]  # fmt: skip
