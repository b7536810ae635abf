"""`--track mlflow`: the server of MLFLOW_TRACKING_URI; without one a database in RUN/mlflow."""

from __future__ import annotations

import importlib
import io
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from raygan.trackers.base import Tracked, TrackerComponent, plain_name

URI, RUN_ID = "MLFLOW_TRACKING_URI", "raygan.run"
BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Where the environment says nothing else. A call that failed is tried again by who calls; its own
patience is four minutes where nobody listens, sixteen where nobody answers, and nothing is told
until then. At the end of a run it prints where its page is, between the lines of `--json`.
"""
LONGEST, AT_ONCE = 6000, 100
"""Of a parameter's value; parameters of a request."""
STATUS = {"done": "FINISHED", "degraded": "FINISHED", "stopped": "KILLED"}


class MLflow(TrackerComponent):
    """A run of MLflow; `mlflow ui --backend-store-uri sqlite:///RUN/mlflow/mlflow.db` shows it."""

    experiment: str = Field("raygan", description="Experiment that holds the runs.")
    needs: ClassVar[tuple[str, ...]] = ("mlflow", "sqlalchemy", "alembic")
    extra: ClassVar[str] = "mlflow"
    _client: Any = PrivateAttr(None)
    _id: str = PrivateAttr("")

    def begin(self, run: Tracked) -> str:
        """By a tag with the run's own id."""
        for name, value in BOUNDS.items():
            os.environ.setdefault(name, value)
        mlflow = importlib.import_module("mlflow.tracking")
        # they tell each table of a new database on stderr
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        where = None if os.environ.get(URI) else run.room("mlflow").absolute()
        self._client = mlflow.MlflowClient(
            tracking_uri=f"sqlite:///{where}/mlflow.db" if where else os.environ[URI]
        )
        self._id = self._found(run) or self._new(run, where)
        self._tell(run)
        return self._id

    def _found(self, run: Tracked) -> str:
        if (there := self._client.get_experiment_by_name(self.experiment)) is None:
            return ""
        wanted = f"tags.`{RUN_ID}` = '{run.id}'"
        found = self._client.search_runs([there.experiment_id], wanted, max_results=1)
        return str(found[0].info.run_id) if found else ""

    def _new(self, run: Tracked, where: Path | None) -> str:
        there = self._client.get_experiment_by_name(self.experiment)
        place = (where / "artifacts").as_uri() if where else None
        number = (
            there.experiment_id if there else self._client.create_experiment(self.experiment, place)
        )
        tags = {**run.tags, RUN_ID: run.id}
        return str(self._client.create_run(number, run_name=run.name, tags=tags).info.run_id)

    def _tell(self, run: Tracked) -> None:
        """The config. A parameter never changes there: where it has, a tag has the newest value."""
        param = importlib.import_module("mlflow.entities").Param
        self._client.update_run(self._id, status="RUNNING")
        have = self._client.get_run(self._id).data.params
        values = {plain_name(k): str(v)[:LONGEST] for k, v in run.config.items()}
        fresh = [param(k, v) for k, v in values.items() if k not in have]
        # the server takes no more in one request
        for at in range(0, len(fresh), AT_ONCE):
            self._client.log_batch(self._id, params=fresh[at : at + AT_ONCE])
        for key in (k for k, v in values.items() if have.get(k, v) != v):
            self._client.set_tag(self._id, f"now.{key}", values[key])

    def scalars(self, step: int, player: str, values: Mapping[str, float]) -> None:
        """PLAYER/NAME."""
        metric, now = (
            importlib.import_module("mlflow.entities").Metric,
            int(time.time() * 1000),  # noqa: TID251  shown only
        )
        told = [metric(f"{player}/{plain_name(k)}", v, now, step) for k, v in values.items()]
        self._client.log_batch(self._id, metrics=told)

    def picture(self, step: int, player: str, png: bytes) -> None:
        """samples/PLAYER-STEP.png among the artefacts."""
        image = importlib.import_module("PIL.Image").open(io.BytesIO(png))
        self._client.log_image(self._id, image, f"samples/{player}-{step:08d}.png")

    def artefact(self, path: Path) -> None:
        """As it is."""
        self._client.log_artifact(self._id, str(path))

    def end(self, status: str) -> None:
        """Its word for that."""
        self._client.set_terminated(self._id, STATUS.get(status, "FAILED"))
