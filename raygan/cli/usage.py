"""A verb's usage line and its help, made from the table of verbs."""

from __future__ import annotations

import re
import textwrap

from raygan.cli.commands import VERBS


def usage(name: str) -> str:
    """`raygan VERB RUN [--flag VALUE] ...` on one line."""
    verb = VERBS[name]
    flags = [
        f"[--{flag}{' ' + f.value if f.value else ''}{' ...' if f.many else ''}]"
        for flag, f in verb.flags.items()
    ]
    # submit's `-- VERB ...` ends the line: what stands after it is the job's.
    behind = verb.arguments.startswith("--")
    parts = [f"raygan {name}", *([] if behind else [verb.arguments]), *flags]
    return " ".join(filter(None, [*parts, verb.arguments if behind else ""]))


def wrapped(line: str, width: int) -> list[str]:
    """A usage line in lines of so many columns; what stands in brackets stays together.

    >>> wrapped("raygan data SOURCE [--out FILE] [--json]", 30)
    ['raygan data SOURCE', '    [--out FILE] [--json]']
    """
    # textwrap breaks at plain spaces only
    whole = re.sub(r"\[[^]]*\]", lambda group: group[0].replace(" ", "\xa0"), line)
    lines = textwrap.wrap(
        whole, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return [part.replace("\xa0", " ") for part in lines]


def help_text(name: str, width: int = 80) -> str:
    """What `raygan VERB --help` says of its flags."""
    verb = VERBS[name]
    lines = wrapped(f"usage: {usage(name)}", width)
    lines += ["", f"{verb.text[0].upper()}{verb.text[1:]}."]
    if verb.flags:
        lines += ["", "flags:"]
        for flag, f in verb.flags.items():
            more = " May be given again." if f.many else ""
            lines += row(f"--{flag} {f.value}".rstrip(), f.text + more, width)
    return "\n".join([*lines, "", f"example: {verb.example}"])


def row(left: str, text: str, width: int, indent: int = 28) -> list[str]:
    """A flag, and its text beside it, or below where it is long."""
    wrapped = textwrap.wrap(
        text, max(width - indent, 30), break_on_hyphens=False, break_long_words=False
    )
    first = f"  {left}"
    if len(first) > indent - 2:
        return [first, *(" " * indent + line for line in wrapped)]
    head, *rest = wrapped or [""]
    return [f"{first:<{indent}}{head}".rstrip(), *(" " * indent + line for line in rest)]
