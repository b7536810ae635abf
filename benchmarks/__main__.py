"""One command for all of them: `python -m benchmarks NAME [ARGS]`; without a name, a list."""

from __future__ import annotations

import ast
import re
import runpy
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from raygan.components import names
from raygan.config.files import presets
from raygan.errors import RayganError

HERE = Path(__file__).parent
ROOMS = ("speed", "science", "faults")
USE = "python -m benchmarks NAME [ARGS]"


def found() -> dict[str, Path]:
    """What can be run, by its name: modules of the rooms, and the scoreboard."""
    files = [f for room in ROOMS for f in sorted((HERE / room).glob("*.py"))]
    return {
        f.stem.replace("_", "-"): f
        for f in [*files, HERE / "scoreboard.py"]
        if '__name__ == "__main__"' in f.read_text()
    }


def listing(known: Mapping[str, Path]) -> str:
    """A line each, under their rooms; the line is the first sentence of the module's docstring."""
    out, room = [USE], ""
    for name, file in known.items():
        if file.parent.name != room:
            room = file.parent.name
            out += ["", room]
        text = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split())
        first = re.split(r"[:;.?]? `?python -m |[.?:;] (?=[A-Z`])", text)[0].rstrip(".")
        out.append(f"  {name:17} {textwrap.shorten(first, 80, placeholder=' ..')}")
    return "\n".join(out)


def words_of(source: str) -> list[str]:
    """What a benchmark's source names, less its prose: its strings, those of the benchmarks that it
    imports, the flags of its docstring.
    """
    tree = ast.parse(source)
    about = ast.get_docstring(tree, clean=False) or ""
    out = re.findall(r"--[\w-]+", about)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != about:
            out.append(node.value)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmarks."):
            file = HERE.parent / f"{str(node.module).replace('.', '/')}.py"
            out += words_of(file.read_text()) if file.exists() else []
    return out


def taken(argument: str, source: str) -> bool:
    """Can a benchmark mean anything by this? A number, a file, a preset, data, or a word that its
    source names. Each picks out what it knows: a misspelt one would run everything, for hours.
    """
    known = " ".join([*words_of(source), *presets(), *names("data")])
    return all(
        re.fullmatch(r"\d+(\.\d+)?", word)
        or re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", known)
        or "/" in word
        or Path(word).exists()
        for word in re.split(r"[,=]", argument)
        if word
    )


def main(argv: Sequence[str]) -> int:
    """0, 2 for a name that does not exist, a RayganError's own; else what the benchmark says."""
    known = found()
    if not argv or argv[0] in ("-h", "--help"):
        print(listing(known))
        return 0
    name = argv[0].replace("_", "-")
    if name not in known:
        print(f"{argv[0]}: no such benchmark; `python -m benchmarks` names all", file=sys.stderr)
        return 2
    source = known[name].read_text()
    # who asks what it does must not start it: it may take hours, and writes a result
    if {"-h", "--help"} & set(argv[1:]) and "argparse" not in source:
        print(f"python -m benchmarks {name}\n\n{ast.get_docstring(ast.parse(source))}")
        return 0
    if "argparse" not in source and (strange := [a for a in argv[1:] if not taken(a, source)]):
        print(
            f"{name}: it takes no {strange[0]!r}; `python -m benchmarks {name} --help` says what"
            " it takes",
            file=sys.stderr,
        )
        return 2
    sys.argv = [str(known[name]), *argv[1:]]
    module = ".".join(known[name].relative_to(HERE.parent).with_suffix("").parts)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except RayganError as error:  # data that are not there, for one
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
