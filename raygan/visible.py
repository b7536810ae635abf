"""Users' own words where others read them: names and paths with escape codes, markup or line breaks
in them, made harmless; and numbers that JSON does not have.
"""

from __future__ import annotations

import html
import json
import math
import re
import sys
import unicodedata
from numbers import Integral, Real
from typing import Any

from raygan.watching import tell

BREAKS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
ODD = re.compile(r"[^\n\t -~]")


def visible(text: object) -> str:
    """For a terminal: escape codes and direction marks are spelled out; line breaks and tabs stay.

    >>> visible("a\\x1b[2Jb"), visible("caf\\xe9"), visible("x\\u202ey")
    ('a\\\\x1b[2Jb', 'caf\xe9', 'x\\\\u202ey')
    """
    line = str(text)
    if not ODD.search(line):
        return line
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")
        else ascii(c)[1:-1]
        for c in line
    )


def finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: None. Numbers of NumPy as Python's.

    >>> finite({"a": (1.0, float("nan"))})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, Real) and not isinstance(value, int):
        # NumPy's numbers are Reals too, and json knows none of them
        value = int(value) if isinstance(value, Integral) else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_json(value: object, indent: int | None = None) -> str:
    """For a program that reads what a verb prints: JSON that every parser takes.

    >>> as_json({"width": float("nan")})
    '{"width": null}'
    """
    return json.dumps(finite(value), indent=indent, default=str, allow_nan=False)


def in_one_line(text: object) -> str:
    """Names of files may hold line breaks: spelled out.

    >>> in_one_line("bad\\nname.png")
    'bad\\\\nname.png'
    """
    return BREAKS.sub(lambda found: ascii(found[0])[1:-1], str(text))


def markdown(text: object) -> str:
    """For a line of Markdown: no HTML, no links, no columns of a table.

    >>> markdown("<b>[x](y)|z"), markdown("ring (8 modes), std 0.02")
    ('&lt;b&gt;\\\\[x\\\\](y)\\\\|z', 'ring (8 modes), std 0.02')
    """
    # a line break would end the heading, list or table that it stands in
    line = " ".join(visible(text).split())
    escaped = re.sub(r"([\\`*\[\]|~$])", r"\\\1", html.escape(line, quote=False))
    return re.sub(r"(https?|ftp|mailto|www)([:.])", r"\1\\\2", escaped)


def code(text: object) -> str:
    """For a line of Markdown, as code: nothing in it can end it.

    >>> code("a `b` c")
    '`` a `b` c ``'
    """
    line = " ".join(visible(text).split())
    # a fence that is longer than any in the text ends only where it is meant to
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def say(*words: object, sep: str = " ", end: str = "\n", flush: bool = False) -> None:
    """`print`, for a terminal that the words are not to steer."""
    tell("")  # the line that is drawn while something takes long
    sys.stdout.write(visible(sep.join(map(str, words))) + end)
    if flush:
        sys.stdout.flush()
