"""Data given as objects: frames and masked arrays, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from raygan.config import load_component
from raygan.data.base import DataComponent
from raygan.data.given import spec_of
from raygan.errors import DataError
from tests.data.test_partition import everything

A = np.random.default_rng(0).normal(size=(20, 3))
SQUARE = np.arange(9.0).reshape(3, 3)
FRAME = pd.DataFrame(A, columns=list("uvw"))
MASKED = np.ma.array(A, mask=A > 1)


class Items:
    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


GIVEN: dict[str, tuple[Any, Any]] = {
    "frame": (FRAME, A),
    "names are numbers": (pd.DataFrame(A), A),
    "square, names are numbers": (pd.DataFrame(SQUARE), SQUARE),
    "shuffled": (FRAME.iloc[::-1], A[::-1]),
    "an index with a name": (FRAME.set_index("u"), A[:, 1:]),
    "series": (FRAME["v"], A[:, 1:2]),
    "nullable whole numbers": (
        FRAME.assign(u=pd.array(range(3, 23), "Int64")),
        np.c_[range(3, 23), A[:, 1:]],
    ),
    "arrow": (pa.table({"u": A[:, 0]}), A[:, :1]),
    "nothing masked": (np.ma.array(A), A),
    "items with nothing masked": (Items(np.ma.array(A)), A),
    "big-endian": (A.astype(">f8"), A),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_given_is_read_as_numpy_has_it(name: str) -> None:
    thing, expected = GIVEN[name]
    component = load_component("data", {**spec_of(thing), "scale": "none"})
    assert isinstance(component, DataComponent)
    assert np.array_equal(everything(component.load(0)), expected.astype(np.float32))


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (FRAME.assign(label=1), "column 'label' (int64) may be no feature. Give u, v, w only"),
        (FRAME.assign(k="a"), "column 'k' (large_string: 'a' in row 0) may be no feature"),
        (
            FRAME.assign(u=range(20)),
            "column 'u' (int64, the number of the row) may be no feature. Give v, w only",
        ),
        (FRAME.reset_index(), "column 'index' (int64) may be no feature"),
        (FRAME.where(A < 1), "nulls, the first in row 2. Fill or remove them"),
        (pd.concat([FRAME, FRAME], axis=1), "Duplicate column names"),
        (FRAME.assign(u=[1, "a"] * 10), "is no table"),
        (MASKED, f"holds {(A > 1).sum()} numbers that are masked. Remove or fill them"),
        (np.ma.array(SQUARE.astype(int), mask=SQUARE > 6), "holds 2 numbers that are masked"),
        (Items(MASKED), "Items[2] holds 1 numbers that are masked"),
        (iter([]), "is no data set"),
    ],
)
def test_what_cannot_be_read_as_it_is_is_one_line(thing: Any, told: str) -> None:
    with pytest.raises(DataError) as error:
        spec_of(thing)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_the_order_of_bytes_is_not_in_the_name_of_data() -> None:
    assert spec_of(A.astype("<f8"))["sha256"] == spec_of(A.astype(">f8"))["sha256"]


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("items", [False, True])
def test_tensors_of_any_float_are_the_same_numbers(dtype: torch.dtype, items: bool) -> None:
    tensor = torch.from_numpy(A).to(dtype)
    component = load_component(
        "data", {**spec_of(Items(tensor) if items else tensor), "scale": "none"}
    )
    assert isinstance(component, DataComponent)
    assert np.array_equal(everything(component.load(0)), tensor.float().numpy())


NO_PLAIN: dict[str, Callable[[], torch.Tensor]] = {
    "sparse": lambda: torch.from_numpy(A).to_sparse(),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(3), torch.zeros(2)]),
    "quantized": lambda: torch.quantize_per_tensor(
        torch.from_numpy(A).float(), 0.1, 0, torch.qint8
    ),
    "meta": lambda: torch.empty(9, 2, device="meta"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", NO_PLAIN)
@pytest.mark.parametrize("items", [False, True])
def test_a_tensor_that_is_no_plain_one_is_one_line(kind: str, items: bool) -> None:
    tensor = NO_PLAIN[kind]()
    with pytest.raises(DataError) as error:
        spec_of(Items([tensor, tensor]) if items else tensor)
    assert "is no plain tensor" in str(error.value)
    assert "\n" not in str(error.value)
