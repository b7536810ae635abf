"""A short walk of benchmarks/faults/chaos.py: processes killed, stopped and paused at random on
real Ray leave no trace in the weights.
"""

import pytest

from benchmarks.faults import chaos

pytestmark = [pytest.mark.ray, pytest.mark.exhaustive]


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("kind", "seed"), [("gap in packs", 1), ("sgan with deputies", 2)])
def test_faults_leave_no_trace(monkeypatch: pytest.MonkeyPatch, kind: str, seed: int) -> None:
    shares = {
        "SIGKILL": 0.3,
        "SIGTERM": 0.5,
        "SIGSTOP": 0.6,
        "evaluator": 0.7,
        "pause": 0.85,
        "ray.kill": 1.0,
    }  # none of Ray's own: others use it too
    monkeypatch.setattr(chaos, "SHARES", shares)
    monkeypatch.setattr(chaos, "FAULTS_A_RUN", 6)
    struck, wrong, _ = chaos.one_run(seed, *chaos.undisturbed(chaos.config_of(kind)))
    assert not +wrong
    assert struck.struck.total() >= 3, "that many rounds there are"
