"""A page of panels as Grafana reads it. What raygan asks on its pages is `dashboards.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT = 12, 8
"""Of a panel, in Grafana's grid of 24 columns."""


@dataclass(frozen=True)
class Query:
    """One line or bundle of lines of a panel."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A question, and the queries that answer it."""

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    red_above: float | None = None
    kind: str = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    """A page of panels, as Grafana shows it."""

    title: str
    uid: str
    panels: tuple[Panel, ...] = field(default=())

    def json(self) -> str:
        """The page as a file that Grafana imports."""
        panels = [self._panel(i, p) for i, p in enumerate(self.panels)]
        values = {
            "title": self.title, "uid": self.uid, "tags": ["raygan"], "schemaVersion": 39,
            "version": 1, "editable": True, "refresh": "10s",
            "time": {"from": "now-30m", "to": "now"}, "timezone": "browser", "panels": panels,
            "templating": {"list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus",
                 "label": "Data source"},
                {"name": "run", "type": "query", "label": "Run", "includeAll": True, "multi": True,
                 "refresh": 2, "allValue": ".*",
                 "datasource": {"type": "prometheus", "uid": "${datasource}"},
                 "query": "label_values(ray_raygan_up, run)",
                 "current": {"text": "All", "value": "$__all"}},
            ]},
        }  # fmt: skip
        return json.dumps(values, indent=1) + "\n"

    def _panel(self, number: int, panel: Panel) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if panel.red_above is not None:
            steps.append({"color": "red", "value": panel.red_above})
        source = {"type": "prometheus", "uid": "${datasource}"}
        return {
            "id": number + 1, "title": panel.title, "description": panel.about, "type": panel.kind,
            "datasource": source,
            "gridPos": {"x": WIDTH * (number % 2), "y": HEIGHT * (number // 2),
                        "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {
                "defaults": {
                    "unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps},
                    "custom": {"thresholdsStyle": {
                        "mode": "line" if panel.red_above is not None else "off"}},
                },
                "overrides": [],
            },
            "options": {"legend": {"displayMode": "list", "placement": "bottom"},
                        "tooltip": {"mode": "multi"}},
            "targets": [
                {"refId": chr(65 + i), "expr": q.expr, "legendFormat": q.legend,
                 "datasource": source}
                for i, q in enumerate(panel.queries)
            ],
        }  # fmt: skip
