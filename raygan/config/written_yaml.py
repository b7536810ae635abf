"""YAML as people mean it who write settings: numbers are decimal, and a key stands once."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode

TIME, FLOAT, INT = (f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "float", "int"))
TEXT = "tag:yaml.org,2002:str"
DIGITS = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")


class Twice(yaml.YAMLError):
    """Of two values of one key the first would be gone without a word."""


class Loader(yaml.SafeLoader):
    """`yaml.SafeLoader` where YAML 1.1 is a trap: it reads 010 as 8, 1:30 as 90, 2024-01-01 as a
    date, and of a key that stands twice the last one.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Raises Twice where a key stands twice; what a merge (`<<`) brings may."""
        seen: dict[Any, int] = {}
        for key, _ in node.value if isinstance(node, MappingNode) else ():
            name = key.value
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(name, str):
                if name in seen:
                    raise Twice(f"{name!r} stands twice, in lines {seen[name]} and {line}")
                seen[name] = line
        self.flatten_mapping(node)
        # keys are names, as they are written: also 0, null and true
        node.value = [
            (ScalarNode(TEXT, k.value, k.start_mark, k.end_mark), v)
            if isinstance(k, ScalarNode)
            else (k, v)
            for k, v in node.value
        ]
        return super().construct_mapping(node, deep)

    def decimal(self, node: Any) -> int:
        """010 is ten, and so is 1_0."""
        text = self.construct_scalar(node).replace("_", "")
        sign, bare = (-1 if text[0] == "-" else 1), text.lstrip("+-").lower()
        base = {"0b": 2, "0x": 16}.get(bare[:2], 10)
        return sign * int(bare[2:] if base != 10 else bare, base)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag not in (TIME, FLOAT, INT)]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
"""Less what is added below in its place."""
Loader.add_implicit_resolver(INT, re.compile(f"^(?:{DIGITS.pattern})$"), list("-+0123456789"))
Loader.add_implicit_resolver(
    FLOAT,
    re.compile(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
Loader.add_constructor(INT, Loader.decimal)


def read(text: str) -> Any:
    """A document's values. Raises yaml.YAMLError."""
    return yaml.load(text, Loader)  # noqa: S506  a SafeLoader
