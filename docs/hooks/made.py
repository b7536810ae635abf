"""Pages that are made when the site is built, from parser, config, docstrings and code."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from raygan.cli import VERBS, verbs
from raygan.cli.settings import default as written_default
from raygan.cli.settings import is_group, reach, text_of
from raygan.cli.usage import wrapped
from raygan.components import KINDS, component_class, names
from raygan.config import Config, PairGroup
from raygan.metrics.groups import ALONE, GROUPS
from raygan.metrics.ranking import ARROWS, METRICS, arrow

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "raygan"
BASES = {
    "raygan.data.base": ["DataComponent", "Samples"],
    "raygan.networks.base": ["NetworkComponent"],
    "raygan.losses.base": ["LossComponent"],
    "raygan.strategies.base": [
        "StrategyComponent",
        "Members",
        "Pace",
        "Processes",
        "Costs",
        "Plan",
        "Setup",
        "Progress",
    ],
}
"""What own parts are made of."""
EXITS = {
    0: "done", 1: "failed", 2: "usage or config", 3: "infeasible resources",
    4: "degraded: done without a member that was lost, or without scores", 5: "`--require` not met",
    6: "another process has taken this run over",
    129: "terminal closed, a checkpoint saved", 130: "Ctrl-C, a checkpoint saved",
    143: "`kill`, a checkpoint saved",
}  # fmt: skip


def table(head: list[str], rows: list[list[str]]) -> str:
    """A markdown table; bars in cells are escaped where they are no code, line breaks go."""
    clean = [[escaped(" ".join(cell.split())) for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *clean]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def escaped(cell: str) -> str:
    """A bar outside of code would end the cell; in code it may stand as it is.

    >>> escaped("a | `b | c`")
    'a \\\\| `b | c`'
    """
    parts = cell.split("`")
    return "`".join(part if i % 2 else part.replace("|", "\\|") for i, part in enumerate(parts))


# ------------------------------------------------------------------------------------- commands


def usage(verb: str) -> str:
    """What `raygan VERB --help` says first, at 76 columns."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        getattr(verbs, verb)(["--help"])
    text = out.getvalue().partition("\n\n")[0].removeprefix("usage: ")
    assert text.startswith(f"raygan {verb}"), f"raygan {verb} --help says {text!r}"
    # as one line, however wide the terminal was for which the help has wrapped it
    lines = re.sub(r" or (?=raygan )", "\n", " ".join(text.split())).splitlines()
    return "\n".join(part for line in lines for part in wrapped(line, 76))


def commands() -> str:
    """Every verb with its usage, and what the exit codes say."""
    parts = ["# Commands", "Made from the parser; `raygan VERB --help` says the same."]
    parts.append(
        table(["command", "what"], [[f"[`raygan {v}`](#raygan-{v})", VERBS[v].text] for v in VERBS])
    )
    parts.append("## Exit codes")
    parts.append(table(["code", "what"], [[str(code), what] for code, what in EXITS.items()]))
    for verb, what in ((name, v.text) for name, v in VERBS.items()):
        parts += [f"## raygan {verb}", what[0].upper() + what[1:] + ".", f"```\n{usage(verb)}\n```"]
    return "\n\n".join(parts) + "\n"


# ------------------------------------------------------------------------------------- settings


def default(info: FieldInfo) -> str:
    """As it would be written, as code; nothing where there is none."""
    found = written_default(info)
    return f"`{found}`" if found not in ("", "none") else found


def settings_of(model: type[BaseModel], prefix: str) -> list[list[str]]:
    """A row for each setting of a group; groups within it have their own."""
    return [
        [f"`{prefix}{name}`", default(info), reach(info), text_of(prefix + name, info)]
        for name, info in model.model_fields.items()
        if not is_group(info)
    ]


def groups(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every group with its prefix, the outermost first."""
    yield prefix, model
    for name, info in model.model_fields.items():
        if is_group(info):
            assert isinstance(info.annotation, type)
            yield from groups(info.annotation, f"{prefix}{name}.")


def first_line(thing: Any) -> str:
    """What a docstring says first."""
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


HEAD = ["setting", "default", "values", "what"]


def settings() -> str:
    """Every setting of a run, and of every component that comes with raygan."""
    parts = [
        "# Settings",
        (
            "Made from the config. Default < preset < `--config` files in order < flags; each"
            " value's origin stands behind it in `raygan train --dry-run`. As a flag a setting has"
            " dashes: `pair.lr_g` is `--pair.lr-g`."
        ),
    ]
    for prefix, model in groups(Config):
        title = f"`{prefix.rstrip('.')}`" if prefix else "A run"
        parts += [f"## {title}", first_line(model), table(HEAD, settings_of(model, prefix))]
    parts += [
        "## An entry of `pairs`",
        first_line(PairGroup),
        table(HEAD, settings_of(PairGroup, "")),
    ]
    for kind in KINDS:
        parts += [f"## {kind}", f"`--{kind} NAME`, its settings as `--{kind}.SETTING VALUE`."]
        for name in names(kind):
            cls = component_class(kind, name)[0]
            parts += [f"### {kind} `{name}`", first_line(cls)]
            if rows := settings_of(cls, f"{kind}."):
                parts.append(table(HEAD, rows))
    return "\n\n".join(parts) + "\n"


# --------------------------------------------------------------------------------------- Python


def signed(name: str, thing: Any) -> str:
    """A call as it is written in a file, at 88 columns; no self, annotations without quotes."""
    text = re.sub(r"(: |-> )(['\"])(.+?)\2(?=[,)]| =|$)", r"\1\3", str(inspect.signature(thing)))
    text = name + re.sub(r"^\((self|cls)(, )?", "(", text)
    if len(text) <= 88:
        return text
    return textwrap.fill(text, 88, subsequent_indent="    ", break_on_hyphens=False)


def documented(thing: Any) -> str:
    """A docstring, examples in it as code."""
    text = inspect.getdoc(thing) or ""
    return re.sub(r"(?m)((?:^(?:>>>|\.\.\. ).*\n?(?:^(?!>>>)\S.*\n?)*)+)", r"```\n\1\n```\n", text)


def members(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class itself, in its order; none of pydantic's."""
    for name, member in vars(cls).items():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        told = plain.func if hasattr(plain, "func") and hasattr(plain, "attrname") else plain
        if not name.startswith(("_", "model_")) and (callable(told) or isinstance(told, property)):
            yield name, told


def entry(name: str, thing: Any, level: str = "###") -> list[str]:
    """A function, or a class with what it has."""
    if not inspect.isclass(thing):
        called = not isinstance(thing, property)
        code = [f"```python\n{signed(name.rpartition('.')[2], thing)}\n```"] if called else []
        return [f"{level} `{name}`", *code, documented(thing)]
    parts = [f"{level} `{name}`", documented(thing)]
    for own, member in members(thing):
        if inspect.getdoc(member):
            parts += entry(f"{name.rpartition('.')[2]}.{own}", member, level + "#")
    return parts


def api() -> str:
    """What users call, and what own parts are made of."""
    raygan = importlib.import_module("raygan")
    testing = importlib.import_module("raygan.testing")
    parts = ["# Python", "Made from docstrings.", "## `raygan`", documented(raygan)]
    for name in sorted(raygan.__all__, key=str.lower):
        parts += entry(f"raygan.{name}", getattr(raygan, name))
    parts += ["## `raygan.testing`", documented(testing)]
    for name in (n for n in vars(testing) if n.startswith("check_")):
        parts += entry(f"raygan.testing.{name}", getattr(testing, name))
    parts += ["## What own parts are made of"]
    for module, classes in BASES.items():
        for name in classes:
            parts += entry(f"{module}.{name}", getattr(importlib.import_module(module), name))
    errors = importlib.import_module("raygan.errors")
    parts += ["## Errors", f"```\n{inspect.getdoc(errors)}\n```"]
    return "\n\n".join(parts) + "\n"


# -------------------------------------------------------------------------------------- modules


def layers() -> list[str]:
    """The packages from above to below, as the law in pyproject.toml has them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [found] = [c["layers"] for c in linter["contracts"] if c["type"] == "layers"]
    return [name.strip().removeprefix("raygan.") for line in found for name in line.split("|")]


def summary(path: Path) -> str:
    """The first sentence of a module's docstring; an assert where there is none."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=\w[.)`])\s(?=[A-Z])", first)[0]


def modules() -> str:
    """Every module once, by layer and folder."""
    top = sorted(p for p in PACKAGE.glob("*.py") if not p.name.startswith("__"))
    order = layers()
    parts = [
        "# Modules",
        (
            "Made from the first sentence of each module's docstring; from above to below: an"
            " import points down only, and nothing below `actors` imports Ray. How they work"
            " together: [architecture](../architecture.md)."
        ),
    ]
    folders = sorted(
        {p.parent for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE},
        key=lambda f: (rank(order, f.relative_to(PACKAGE).parts[0]), str(f)),
    )
    for folder in folders:
        rows = [p for p in sorted(folder.glob("*.py")) if not p.name.startswith("__")]
        init = folder / "__init__.py"
        parts += [f"## {folder.relative_to(PACKAGE)}/", summary(init) if init.exists() else ""]
        if rows:
            parts.append(table(["module", "what"], [[f"`{p.name}`", summary(p)] for p in rows]))
    rows = sorted(top, key=lambda p: rank(order, p.stem))
    parts += [
        "## One file each",
        table(["module", "what"], [[f"`{p.name}`", summary(p)] for p in rows]),
    ]
    return "\n\n".join(parts) + "\n"


def rank(order: list[str], name: str) -> int:
    """How far below the top; what the law does not name comes last."""
    return order.index(name) if name in order else len(order)


# ------------------------------------------------------------------------------------- warnings


def remedies() -> dict[str, str]:
    """The code's own register, wherever its module lies."""
    for path in PACKAGE.rglob("*.py"):
        if (text := path.read_text()).find("\nREMEDIES = {") >= 0:
            for node in ast.parse(text).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REMEDIES":
                    found: dict[str, str] = ast.literal_eval(node.value)
                    return found
    raise AssertionError("no module of raygan has REMEDIES")


def scores() -> str:
    """Every score: what it says, which way is better, which data have it."""
    kinds = {
        "modes": "points with known modes", "stacked": "stacked MNIST", "density": "points",
        "classes": "data with a classifier (MNIST)", "labels": "data with classes",
        "fid": "all but text", "kid": "all but text", "prdc": "all but text", "ngrams": "text",
        "by_part": "`--data parts`",
    }  # fmt: skip
    rows = [
        [f"`{name}`", meaning.text, arrow(name), ", ".join(kinds[g] for g in meaning.groups)]
        for name, meaning in METRICS.items()
    ]
    intro = (
        f"What the columns of a table of scores mean. In a head {ARROWS}; `?` marks a score by"
        " which noise is as good as real data: it cannot tell. Behind `@` stands what a score was"
        " measured by: the share that counts (`modes@10%`), or whose features (`fid@pixels`)."
        " `raygan evaluate RUN --metrics GROUP` asks for a group: "
        + ", ".join(f"`{g}`" for g in (*GROUPS, *ALONE))
        + ". The floor is uniform noise, the ceiling real data against other real data, both by as"
        " many samples as a generator gives."
    )
    return "\n\n".join(["# Scores", intro, table(["score", "what it says", "", "of"], rows)])


def warnings() -> str:
    """Every named warning: its page, and what to do in a line."""
    told, rows = remedies(), []
    for page in sorted((ROOT / "docs/warnings").glob("W*.md")):
        number, _, name = page.read_text().partition("\n")[0].removeprefix("# ").partition(" ")
        rows.append([f"[{number}]({page.name})", name, told.get(number, "an alert's: its page")])
    if missing := sorted(set(told) - {row[0][1:5] for row in rows}):
        raise AssertionError(f"warnings without a page in docs/warnings: {', '.join(missing)}")
    intro = (
        "A run names what goes wrong: in the terminal, in `events.jsonl`, in the report, and as"
        " alerts. W1xx is about what is learned, W2xx about what it runs on. Each page tells what"
        " the warning says, how it is found, what it means, and what to do."
    )
    return "\n\n".join(["# Warnings", intro, table(["warning", "name", "what to do first"], rows)])
