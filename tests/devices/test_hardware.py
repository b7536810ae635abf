"""What needs a GPU: `pytest -m gpu`. Without one each is skipped by name."""

from __future__ import annotations

import pytest
import torch

from raygan.gan.device import accelerator, chosen, settle
from tests.devices.test_same_bits import VARIANTS, config_of, states

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(accelerator() is None, reason="there is no GPU here"),
]


@pytest.mark.parametrize("name", VARIANTS)
def test_lockstep_has_the_same_bits_each_time(name: str) -> None:
    """What verify promises of one machine; other bits than a CPU's."""
    device = chosen("auto")
    settle(device, exact=True)
    config = config_of(VARIANTS[name])
    assert states(config, str(device)) == states(config, str(device))


def test_a_share_caps_the_memory() -> None:
    device = chosen("auto")
    settle(device, exact=False, share=0.1)
    total = torch.cuda.get_device_properties(device).total_memory
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(int(0.2 * total), dtype=torch.uint8, device=device)
