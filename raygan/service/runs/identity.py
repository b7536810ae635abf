"""Which data a run is on: absolute paths in its config (of what went along with a job: relative
ones), the SHA-256 of what they hold in run.json.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from raygan.config import Config, Resolved
from raygan.controller.bucket_copies import shown
from raygan.data.base import Samples
from raygan.data.partition import Part
from raygan.data.questions import settled as settled_read
from raygan.data.reading import part_of
from raygan.data.record import Scaling
from raygan.data.split import fingerprint
from raygan.errors import ConfigError, DataError
from raygan.service.runs.run import Run
from raygan.strategies.base import load_data, with_data
from raygan.strategies.partition import own_parts, pinned
from raygan.strategies.sources import component_of, sources_of


def rooted(config: Config) -> Config:
    """The config with its data's path absolute, where it is one that leads somewhere from here and
    stays there.
    """
    data = rooted_spec(config.data)
    if sources := sources_of(config):
        data["partition"] = {pair: rooted_spec(spec) for pair, spec in sources.items()}
    return config if data == config.data else config.model_copy(update={"data": data})


def rooted_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a data set's name and settings are, with its paths absolute."""
    out = dict(spec)
    for key in ("path", "labels"):
        if (
            isinstance(path := spec.get(key), str)
            and Path(path).expanduser().exists()
            and (key == "path" or is_file(path))
        ):
            # Not resolve(): a link such as data/current is a name that somebody keeps, and may be
            # moved.
            whole = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  links stay
            # What went along with a job goes along with the next one, to another place; by its
            # hash it is found to be the same.
            sent = in_a_job(whole) and whole.is_relative_to(Path.cwd())
            out[key] = str(whole.relative_to(Path.cwd()) if sent else whole)
    return out


def read_as(config: Config) -> dict[str, Any]:
    """All settings that a config's data are read by, however they were written."""
    return component_of(pinned(rooted(config))).model_dump()


def in_a_job(path: Path) -> bool:
    """Does it lie in Ray's copy of a job's working directory, which is thrown away with the job?"""
    return any(part.startswith("_ray_pkg_") for part in path.parts)


def is_file(labels: str) -> bool:
    """Does data.labels name a file that is here, and no column or key?"""
    return Path(labels).suffix in (".npy", ".gz") or labels.endswith("-ubyte")


def settled(resolved: Resolved) -> Resolved:
    """The same of a config with its origins. Raises ConfigError where pairs have SOURCEs, and
    nobody has named a whole.
    """
    if sources_of(resolved.config) and resolved.origins.get("data.name", "").startswith("preset"):
        raise ConfigError(
            f"data.partition: pairs have SOURCEs, and {resolved.config.data['name']} of the"
            f" {resolved.origins['data.name']} would be what scores are against. Name the whole:"
            " --data SOURCE; or, where nobody has one, --data parts: scores are by part then."
        )
    config = pinned(rooted(resolved.config))
    resources = config.resources
    if config.device == "cpu" and resources.gpus_per_pair:
        raise ConfigError(
            f"resources.gpus_per_pair = {resources.gpus_per_pair:g}, device = cpu: GPUs would be"
            " taken and not used. Leave one of the two out."
        )
    if config.device == "cpu":
        # so that Ray reserves no GPU for players that are to compute without
        config = config.model_copy(
            update={"resources": resources.model_copy(update={"gpus_per_pair": 0.0})}
        )
    return resolved.model_copy(update={"config": config})


def identity(data: Samples) -> dict[str, Any]:
    """What run.json keeps to know the data again: name, hash, split."""
    known: dict[str, Any] = {
        "name": data.name, "sha256": data.sha256, "split": data.split, "train": len(data.train)
    }  # fmt: skip
    if not data.whole:
        known |= {"train": data.distinct, "columns": list(data.columns), "scale": data.scale}
    if data.labels is not None and data.held_out_labels is not None:
        known["labels_sha256"] = fingerprint(data.labels, data.held_out_labels)
    return known | (
        {"parts": {pair: part.plain() for pair, part in data.parts.items()}} if data.parts else {}
    )


def known_data(info: Mapping[str, Any], config: Config, other: bool = False) -> Samples:
    """The config's data. What the run of this run.json has trained on is not asked about: it is
    read as it was then. `other`: others are meant, which are asked about.
    """
    known = info.get("data")
    if isinstance(known, Mapping) and not component_of(config).whole:
        return remembered(info, known)
    if not (isinstance(known, Mapping) and known.get("sha256")):
        return load_data(config)
    # who asks for others by mistake is told that they are others, by whoever compares them
    return settled_read(lambda: load_data(config), lambda d: not (other and other_data(info, d)))


def remembered(info: Mapping[str, Any], known: Mapping[str, Any]) -> Samples:
    """What run.json knows of data that nobody holds as a whole: no part is read for it."""
    none = np.empty((0, *info["shape"]), np.float32)
    return Samples(
        known["name"], none, none, split=known["split"], columns=tuple(known["columns"]),
        scale=known["scale"], scaling=Scaling.of(info.get("scaling")), parts=parts_told(info),
        whole=False,
    )  # fmt: skip


def known_parts(info: Mapping[str, Any], data: Samples) -> Samples:
    """Data with the parts that a run's pairs have trained on, to be compared with what their
    SOURCEs hold now.
    """
    return replace(data, parts=parts_told(info))


def parts_told(info: Mapping[str, Any]) -> dict[str, Part]:
    """What run.json has of each pair's part; {} where all is shared."""
    known = info.get("data")
    parts = known.get("parts") if isinstance(known, Mapping) else None
    return {pair: Part.of(part) for pair, part in (parts or {}).items()}


def run_data(run: Run, other: bool = False) -> Samples:
    """The data that a run was made on. Raises DataError where its path holds others now, unless
    `other` says that this is meant.
    """
    data = known_data(run.info, run.config, other)
    if not other and (why := other_data(run.info, data)):
        raise DataError(f"run {shown(run.path)!r}: {why}")
    return data


def data_seen(
    run: Run, players: Sequence[str], whole: Samples, other: bool = False
) -> dict[str, Samples]:
    """What the D of each of these has trained on: its own part where it has one, else the whole.
    Raises DataError where that is not on this machine, or is other data than the run's, unless
    `other` says that this is meant.
    """
    # A D has seen its own part only: against the whole it would take for fake what others have.
    apart = [p for p in with_data(run.config) if p in players]

    def why(parts: dict[str, Samples]) -> str:
        """Pairs' own SOURCEs are in no outline: what they hold is compared here."""
        told = {p: part_of(f"part of {p}", part) for p, part in parts.items()}
        return other_data(run.info, replace(whole, parts=told))

    parts = settled_read(
        lambda: own_parts(run.config, apart, whole.outline, whole),
        lambda parts: not (other and why(parts)),
    )
    if not other and (differs := why(parts)):
        raise DataError(f"run {shown(run.path)!r}: {differs}")
    return {player: parts.get(player, whole) for player in players}


def data_note(run: Run, data: Samples | None = None) -> str:
    """For who looks at scores: the run's data are others now, or cannot be read; "" where they are
    those of the scores.
    """
    try:
        why = other_data(run.info, known_data(run.info, run.config) if data is None else data)
    except DataError as error:
        return (
            f"note: {run.name}: its data cannot be read now, the scores are of what they were"
            f" ({error})"
        )
    return f"note: {run.name}: its data have changed since these scores: {why}" if why else ""


def other_data(info: Mapping[str, Any], data: Samples) -> str:
    """Are these others than run.json says? Both hashes, and the flag that says "I know"; "" where
    they are the same.
    """
    differs = differing(info, data)
    return differs and f"{differs} Put those data back, or say --other-data if you mean these."


def differing(info: Mapping[str, Any], data: Samples) -> str:
    """What of these data is not as run.json says, with both hashes; "" where nothing is."""
    known, now = info.get("data"), identity(data)
    if not isinstance(known, Mapping):
        return ""
    pairs = [(data.name, known.get("sha256"), data.sha256)]
    pairs.append(
        (f"the classes of {data.name}", known.get("labels_sha256"), now.get("labels_sha256", ""))
    )
    parts = known.get("parts") or {}
    pairs += [
        (f"{p}'s part", parts[p]["sha256"], part.sha256)
        for p, part in data.parts.items()
        if p in parts
    ]
    pairs += [
        (f"the classes of {p}'s part", parts[p].get("labels_sha256"), part.labels_sha256)
        for p, part in data.parts.items()
        if p in parts
    ]
    for what, before, after in pairs:
        # Drawn by the run's seed: they follow from it.
        if before and before != after and (data.sha256 or data.parts):
            return (
                f"{what} has sha256 {after[:12]}.. now, the run was made with {str(before)[:12]}..."
            )
    return ""
