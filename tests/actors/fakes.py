"""Stand-ins for Ray's handles: a call is answered at once, later, or never; no Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Call:
    """What `actor.method.remote(...)` gives; `result`: a value, or an exception that it raises."""

    def __init__(self, actor: str, method: str, args: tuple[Any, ...]) -> None:
        self.actor, self.method, self.args = actor, method, args
        self.result: Any = None
        self.done = False

    def __repr__(self) -> str:
        return f"{self.actor}.{self.method}"


class Actor:
    """A handle: keeps its calls, in their order. answers: method -> result, there at once."""

    def __init__(self, name: str, log: list[Call] | None = None, **answers: Any) -> None:
        self.name, self.answers = name, answers
        self.log = [] if log is None else log
        self._actor_id = SimpleNamespace(hex=lambda: f"id of {name}")

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return SimpleNamespace(remote=lambda *args: self._call(method, args))

    def _call(self, method: str, args: tuple[Any, ...]) -> Call:
        call = Call(self.name, method, args)
        if method in self.answers:
            call.result, call.done = self.answers[method], True
        self.log.append(call)
        return call

    def calls(self, *methods: str) -> list[Call]:
        """Those of these methods, oldest first."""
        return [c for c in self.log if c.actor == self.name and c.method in methods]


class Ray:
    """`ray.get`, `ray.put` and `ray.wait` of such calls."""

    def __init__(self) -> None:
        self.killed: list[Any] = []
        self.waits: list[tuple[int, float | None]] = []
        """Of each wait, for how many and how long."""
        self.patience: list[float | None] = []
        """Of each `get`."""

    def get(self, call: Call, timeout: float | None = None) -> Any:
        """Its result."""
        from ray.exceptions import GetTimeoutError

        self.patience.append(timeout)
        if not call.done:
            raise GetTimeoutError
        if isinstance(call.result, Exception):
            raise call.result
        return call.result

    def put(self, value: Any) -> Any:
        """A reference that is the value itself."""
        return value

    def wait(self, calls: list[Call], num_returns: int = 1, timeout: float | None = None) -> Any:
        """As many as are done, at most `num_returns`."""
        self.waits.append((num_returns, timeout))
        done = [c for c in calls if c.done][:num_returns]
        return done, [c for c in calls if c not in done]

    def kill(self, actor: Any) -> None:
        """Note it."""
        self.killed.append(actor)
