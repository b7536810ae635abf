"""Files of samples."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from raygan.service.runs.generators import Generators
from raygan.service.scores.sampling import write_drawn


@pytest.mark.parametrize(
    ("columns", "named"), [(("u", "v w"), ["u", "v w"]), ((), ["x0", "x1"]), (("u",), ["x0", "x1"])]
)
def test_features_have_the_names_that_the_data_have(
    columns: tuple[str, ...], named: list[str], tmp_path: Path
) -> None:
    made = Generators({"a": torch.nn.Identity()}, {"a": ("normal", 2)}, columns=columns)
    write_drawn(made, "run", 5, 0, tmp_path / "x.parquet")
    assert pd.read_parquet(tmp_path / "x.parquet").columns.tolist() == named
