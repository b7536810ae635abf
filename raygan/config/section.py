"""What every group of settings is: frozen, strict, and able to travel to another process."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from raygan.components import Strict
from raygan.own.inside import luggage, unpack


class Section(Strict):
    """A group of settings."""

    model_config = ConfigDict(validate_default=True)


class Travels(Section):
    """Settings that name own parts take their sources along to other processes, as text."""

    # pydantic pickles fields only. Text and not objects: a worker compiles it under its hash, as
    # the driver did (decision 62).
    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), "sources": luggage(self.__dict__)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        unpack(state.pop("sources"))
        super().__setstate__(state)
