"""What a tracker has kept, read by its own library, or from its file where it has no reader."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Points = dict[str, list[tuple[int, float]]]


@dataclass
class Read:
    """player/name -> (step, value), in the order in which they were told."""

    scalars: Points = field(default_factory=dict)
    pictures: set[tuple[str, int]] = field(default_factory=set)
    config: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    """Names by which the tracker knows runs."""

    def add(self, name: str, step: int, value: float) -> None:
        """One number."""
        self.scalars.setdefault(name, []).append((step, value))


def tensorboard(run: Path) -> Read:
    """By its EventAccumulator, which drops what was purged."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(
        str(run / "tensorboard"), {"scalars": 0, "images": 0, "tensors": 0}
    ).Reload()
    out = Read(runs={"tensorboard"})
    for tag in events.Tags()["scalars"]:
        out.scalars[tag] = [(e.step, e.value) for e in events.Scalars(tag)]
    for tag in events.Tags()["images"]:
        for image in events.Images(tag):
            assert image.encoded_image_string.startswith(b"\x89PNG")
            out.pictures.add((tag.partition("/")[0], image.step))
    texts = {
        tag.partition("/")[0]: [t.tensor_proto.string_val[0] for t in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }
    lines = [line.strip().partition(": ") for line in texts["config"][-1].decode().splitlines()]
    out.config = {key: value for key, _, value in lines}
    out.tags = {f"{k}={v}" for k, v in json.loads(texts["tags"][-1]).items()}
    return out


def wandb_records(path: Path) -> Iterator[Any]:
    """Records of an offline run: LevelDB's log format, in blocks of 32 kB."""
    from wandb.proto import wandb_internal_pb2

    raw, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(raw):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = struct.unpack("<HB", raw[at + 4 : at + 7])
        whole += raw[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def wandb(run: Path) -> Read:
    """Of all lives' files, in their order: what `wandb sync` sends."""
    out, steps = Read(), []
    for path in sorted((run / "wandb").glob("offline-run-*/*.wandb")):
        for record in wandb_records(path):
            if (kind := record.WhichOneof("record_type")) == "run":
                out.runs.add(record.run.run_id)
                out.tags |= set(record.run.tags)
            elif kind == "config":
                out.config |= {
                    u.key or "/".join(u.nested_key): u.value_json for u in record.config.update
                }
            elif kind == "files":
                out.files |= {f.path for f in record.files.files}
            elif kind == "history":
                row = {
                    "/".join(i.nested_key) or i.key: json.loads(i.value_json)
                    for i in record.history.item
                }
                steps.append(row["_step"])
                history(row, out)
    assert steps == sorted(set(steps)), "the server takes no step of its own twice"
    return out


def history(row: dict[str, Any], out: Read) -> None:
    """A row of W&B's."""
    player = next(key for key in row if key.endswith("/step")).removesuffix("/step")
    step = row[f"{player}/step"]
    for name, value in row.items():
        if name == f"{player}/samples/_type":
            out.pictures.add((player, step))
        elif name.startswith(f"{player}/") and name != f"{player}/step" and "/samples/" not in name:
            out.add(name, step, float(value))


def mlflow(run: Path, uri: str = "") -> Read:
    """By its client; `uri`: of a server."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri or f"sqlite:///{run.absolute()}/mlflow/mlflow.db")
    mine = json.loads((run / "run.json").read_text())["id"]
    experiment = client.get_experiment_by_name("raygan")
    out = Read()
    for found in client.search_runs([experiment.experiment_id], f"tags.`raygan.run` = '{mine}'"):
        number = found.info.run_id
        out.runs.add(number)
        for name in found.data.metrics:
            for metric in client.get_metric_history(number, name):
                out.add(name, metric.step, metric.value)
        out.config |= found.data.params
        out.tags |= {f"{k}={v}" for k, v in found.data.tags.items()}
        out.files |= {f.path for f in client.list_artifacts(number)}
        for file in client.list_artifacts(number, "samples"):
            player, _, step = Path(file.path).stem.rpartition("-")
            out.pictures.add((player, int(step)))
    for points in out.scalars.values():
        points.sort()
    return out


def trackio(run: Path) -> Read:
    """Out of its database, which lies beside the runs."""
    name = json.loads((run / "trackers.json").read_text())["trackers"]["trackio"]["id"]
    out = Read()
    with sqlite3.connect(Path(run) / ".." / "trackio" / "raygan.db") as base:
        rows = base.execute(
            "select run_id, step, metrics from metrics where run_name = ? order by id", [name]
        )
        for number, step, raw in rows.fetchall():
            out.runs.add(number)
            for key, value in json.loads(raw).items():
                if isinstance(value, dict):
                    out.pictures.add((key.partition("/")[0], step))
                else:
                    out.add(key, step, float("nan") if value is None else float(value))
        for (raw,) in base.execute("select config from configs where run_name = ?", [name]):
            config = json.loads(raw)
            out.tags = {f"{k}={v}" for k, v in config.pop("tags").items()}
            out.config = {k: json.dumps(v) for k, v in config.items()}
    return out


READERS: dict[str, Callable[[Path], Read]] = {
    "tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow, "trackio": trackio,
}  # fmt: skip


def there(tracker: str) -> bool:
    """Is its library installed?"""
    return importlib.util.find_spec(tracker) is not None
