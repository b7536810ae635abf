"""`--require`: what is no number was not reached, whichever way is better."""

from types import SimpleNamespace
from typing import Any

import pytest

from raygan.service.scores.required import require


@pytest.mark.parametrize(
    "wanted", ["width>=.8", "width<=1.1", "width>=.8,width<=1.1", "modes>=8", "kid@raw<=.1"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_missed(wanted: str, value: float) -> None:
    metrics = dict.fromkeys(("width", "modes", "kid@raw"), value)
    run: Any = SimpleNamespace(main_player="global", scores=lambda: {"global": metrics})
    assert "required" in str(require(run, wanted))
    metrics.update({"width": 0.95, "modes": 8.0, "kid@raw": 0.05})
    assert require(run, wanted) is None
