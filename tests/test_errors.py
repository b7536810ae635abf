"""What is said of an error, whoever raised it."""

from __future__ import annotations

from raygan.errors import error_line


class Mute(Exception):
    """A user's own, which raises where it is asked what it says."""

    def __str__(self) -> str:
        raise RuntimeError("not even this")


def test_an_error_that_cannot_be_asked_is_a_line_too() -> None:
    assert error_line(Mute()) == "Mute: (says nothing)"
    assert error_line(ValueError("a" * 500)) == "ValueError: " + "a" * 160
