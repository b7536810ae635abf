"""What Ray's record of a job says, in raygan's words."""

from __future__ import annotations

from typing import Any

FINAL = ("SUCCEEDED", "FAILED", "STOPPED")


def status_of(details: Any) -> str:
    """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED, of Ray's record of a job."""
    return str(getattr(details.status, "value", details.status))


def exit_code_of(details: Any) -> int | None:
    """raygan's own exit code, of Ray's record of a job; None while it goes on."""
    status, code = status_of(details), details.driver_exit_code
    if status not in FINAL:
        return None
    if code is None:
        return {"SUCCEEDED": 0, "STOPPED": 143}.get(status, 1)
    return 128 - int(code) if code < 0 else int(code)  # -15: ended by the signal itself
