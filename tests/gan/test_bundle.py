import pytest
import torch

from raygan.errors import CheckpointError
from raygan.gan.bundle import pack, unpack, unpack_plain


def test_a_state_survives_packing() -> None:
    state = {
        "a.b": torch.arange(3),
        "w": torch.tensor(1.5),
        "step": 3,
        "rate": 0.1,
        "name": "pair-00",
    }
    back = unpack(pack(state))
    assert back["step"] == 3
    assert back["rate"] == 0.1
    assert back["name"] == "pair-00"
    assert torch.equal(back["a.b"], torch.arange(3))  # type: ignore[arg-type]
    assert back["w"].shape == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize("cut", [0, 7, 20, -1])
def test_damaged_bytes_are_an_error_for_people(cut: int) -> None:
    raw = pack({"w": torch.arange(8), "step": 1})
    with pytest.raises(CheckpointError, match="cannot be read"):
        unpack(raw[:cut])


@pytest.mark.parametrize("cut", [0, 7, 20])
def test_plain_values_are_read_alone(cut: int) -> None:
    raw = pack({"w": torch.arange(8), "step": 1, "name": "pair-00"})
    assert unpack_plain(raw) == {"step": 1, "name": "pair-00"}
    with pytest.raises(CheckpointError, match="cannot be read"):
        unpack_plain(raw[:cut])
