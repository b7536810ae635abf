"""metrics.jsonl as metrics.parquet."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

from raygan.controller.jsonl import Lines, told_by_a_run


def parquet(path: Path, rows: int = 50_000) -> bytes:
    """metrics.jsonl as a table; put together from portions, since a row as an object takes ten
    times as much memory.
    """
    import pyarrow as pa
    from pyarrow import parquet as pq

    lines, portions = Lines(path / "metrics.jsonl", told_by_a_run).fresh(), list[pa.Table]()
    while portion := list(itertools.islice(lines, rows)):
        # Rows differ: a loss has columns of its own, and scores come at some steps only.
        names = dict.fromkeys(name for row in portion for name in row)
        portions.append(
            pa.table({name: _column([row.get(name) for row in portion]) for name in names})
        )
    out = io.BytesIO()
    pq.write_table(
        # Permissive: a column may be whole numbers in one portion and null in the next.
        pa.concat_tables(portions, promote_options="permissive") if portions else pa.table({}),
        out,
    )
    return out.getvalue()


def _column(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except pa.ArrowException:  # of several kinds
        return pa.array([None if v is None else str(v) for v in values])
