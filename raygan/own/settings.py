"""Settings of a plain class or function: the parameters that it can be called with, as fields of a
component.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, create_model

PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(call: Callable[..., Any], skip: int = 0) -> dict[str, inspect.Parameter]:
    """Those that have a name; without the first `skip`, which raygan gives itself."""
    try:
        found = inspect.signature(call, eval_str=True)
    except NameError:
        # an annotation that exists for type checkers only
        found = inspect.signature(call)
    except (TypeError, ValueError):
        return {}
    named = [p for p in found.parameters.values() if p.kind in PLAIN]
    return {p.name: p for p in named[skip:]}


def with_settings(
    base: type[BaseModel], name: str, call: Callable[..., Any], skip: int = 0, **facts: Any
) -> Any:
    """A class below `base` with a field for each parameter; `facts` become its attributes."""
    fields: dict[str, Any] = {}
    for parameter in parameters(call, skip).values():
        # `...` is pydantic's word for a setting that has to be given
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (
            _type(parameter.annotation),
            Field(default, description=f"Of {name}."),
        )
    made = create_model(
        name,
        __base__=base,
        __module__=base.__module__,
        __doc__=inspect.getdoc(call) or "",
        **fields,
    )
    for key, value in facts.items():
        setattr(made, key, value)
    return made


def _type(annotation: Any) -> Any:
    """What can be checked is checked."""
    if annotation is inspect.Parameter.empty or isinstance(annotation, str):
        return Any
    try:
        TypeAdapter(annotation)
    except Exception:
        # of any kind: a type that pydantic does not know
        return Any
    return annotation
