"""What a class needs of a script or a notebook: the top statements that bind the global names that
its code reads, and so on; nothing is executed.

    class Net:                              reads nn and SLOPE, not x: an argument is nobody else's
        def forward(self, x): ...           -> from torch import nn, SLOPE = 0.2, class Net

A statement that would do more than define (start a run, read the command line) is refused: each
worker would do it again.
"""

from __future__ import annotations

import ast
import builtins
import dis
import re
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType

from raygan.errors import ConfigError

READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
RUNS = "starts or reads a run"
ARGUMENTS = "reads the command line"
FILES = "reads a file"
ELSEWHERE = "reads this process's environment"
DOES = {
    **{
        f"raygan.{name}": RUNS
        for name in ("train", "start", "load", "Run", "Jobs", "service", "cli")
    },
    "sys.argv": ARGUMENTS,
    "input": "asks whoever sits there",
    "sys.stdin": "asks whoever sits there",
    **dict.fromkeys(("open", "io.open", "numpy.load", "numpy.loadtxt", "torch.load"), FILES),
    **dict.fromkeys(("os.environ", "os.getenv"), ELSEWHERE),
    **dict.fromkeys(("subprocess", "os.system", "os.popen"), "starts a program"),
}
"""What a name leads to -> what that does."""
CALLS = {
    **dict.fromkeys(("parse_args", "parse_known_args"), ARGUMENTS),
    **dict.fromkeys(("open", "read_text", "read_bytes"), FILES),
}
"""The same of methods of whatever."""


def needed(text: str, names: Sequence[str], file: str = "the script") -> str:
    """The top statements that bind these names, and those that bind what they read in turn; never
    what only runs. Raises ConfigError where one of them does more than define.

    >>> text = "import os, re\\nA = 2\\nprint(A)\\ndef f():\\n    return re, A\\n"
    >>> print(needed(text, ["f"]), end="")
    import os, re
    A = 2
    def f():
        return re, A
    """
    # read, never executed: a script that begins a run would begin another one (decision 63)
    tree = ast.parse(text)
    statements = [s for s in tree.body if not _is_main(s)]
    keep, _ = _reached(statements, names)
    if not set(names) <= {n for s in keep for n in _binds(statements[s])}:
        return ""
    known = dict(_imported(statements))
    for i, name in sorted(keep.items()):
        if does := _does(statements[i], known):
            raise ConfigError(_refusal(names, name, f"{file}:{statements[i].lineno}", *does))
    # star imports may bind anything; the future import changes what annotations are
    kept = {*keep, *(i for i, s in enumerate(statements) if _is_for_all(s))}
    lines = re.split("\r\n|\r|\n", text)
    parts = [_lines(statements[i], tree.body, lines, text) for i in sorted(kept)]
    return "\n".join(line for part in parts for line in part) + "\n"


def reached(text: str, names: Sequence[str]) -> set[str]:
    """These names, and all global names that their code reads, and so on."""
    return _reached([s for s in ast.parse(text).body if not _is_main(s)], names)[1]


def _reached(
    statements: Sequence[ast.stmt], names: Sequence[str]
) -> tuple[dict[int, str], set[str]]:
    """({statement: the name for which it is needed}, all names)."""
    binds = [_binds(s) for s in statements]
    keep, wanted, todo = dict[int, str](), set[str](), list(names)
    while todo:
        if (name := todo.pop()) in wanted:
            continue
        wanted.add(name)
        for i, bound in enumerate(binds):
            if name in bound and i not in keep:
                keep[i] = name
                todo += _reads(_compiled(statements[i]))
    return keep, wanted


# ------------------------------------------------------------------------------------------- names


def _compiled(statement: ast.stmt) -> CodeType:
    # Python's own answer to whose a name is: locals, arguments and attributes are not global. On
    # its own: a future import would make text of annotations, which pydantic reads as names.
    # a notebook's cells may wait at their top
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = compile(ast.Module([statement], []), "?", "exec", flags, dont_inherit=True)
    return code


def _reads(code: CodeType) -> Iterator[str]:
    """Global names that it reads, or may read when it is called."""
    bound = set[str]()
    for step in dis.get_instructions(code):
        # a class body's own names are read by the same instruction, once they are bound
        if step.opname in READS and step.argval not in bound:
            yield step.argval
        elif step.opname == "STORE_NAME":
            bound.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _reads(inner)


def _binds(statement: ast.stmt) -> set[str]:
    """Names that a top statement binds."""
    code = _compiled(statement)
    # a walrus inside a comprehension binds outside it
    inner = [c for c in code.co_consts if getattr(c, "co_name", "") in COMPREHENSIONS]
    return {
        step.argval
        for part in (code, *inner)
        for step in dis.get_instructions(part)
        if step.opname in (("STORE_NAME", "STORE_GLOBAL") if part is code else ("STORE_GLOBAL",))
    }


def _is_for_all(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and (
        statement.module == "__future__" or statement.names[0].name == "*"
    )


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in {
        n.id for n in ast.walk(statement.test) if isinstance(n, ast.Name)
    }


# -------------------------------------------------------------------------------- more than defines


def _does(statement: ast.stmt, known: Mapping[str, str]) -> tuple[str, str] | None:
    """(what it does beside defining, by which words), or None; what a function does when it is
    called is not known here.
    """
    for node in _executed(statement):
        whole = _dotted(node, known)
        for name, what in DOES.items():
            if f"{whole}.".startswith(f"{name}."):
                return what, ast.unparse(node)
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in CALLS:
            return CALLS[called.attr], ast.unparse(called)
    return None


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """What runs where the statement does: not the bodies of functions."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inner: Iterator[ast.AST] = iter([*node.decorator_list, node.args])
    elif isinstance(node, ast.Lambda):
        inner = iter([node.args])
    else:
        inner = ast.iter_child_nodes(node)
    for child in inner:
        yield from _executed(child)


def _dotted(node: ast.AST, known: Mapping[str, str]) -> str:
    """np.load -> numpy.load; "" of what is no name."""
    if isinstance(node, ast.Name):
        builtin = node.id if hasattr(builtins, node.id) else ""
        return known.get(node.id, builtin)
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value, known)
        return inner and f"{inner}.{node.attr}"
    return ""


def _imported(statements: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Name -> what it leads to: of an import its whole name, of anything else that is bound "."."""
    for statement in statements:
        yield from ((name, ".") for name in _binds(statement))
    for node in (n for s in statements for n in ast.walk(s)):
        if isinstance(node, ast.Import):
            for a in node.names:
                top = a.name.partition(".")[0]
                yield (a.asname, a.name) if a.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)


def _refusal(names: Sequence[str], name: str, where: str, what: str, words: str) -> str:
    mine = names[0]
    move = (
        "Put that call under `if __name__ == '__main__':`"
        if name in names
        else f"Make {name!r} a setting of {mine} (a parameter)"
    )
    needs = "is bound" if name in names else f"needs {name!r}, which is bound"
    return (
        f"{mine} {needs} at {where}, and that line {what} ({words}): each worker would do it again."
        f" {move}, or put {mine} into a file of its own."
    )


# -------------------------------------------------------------------------------------------- text


def _lines(
    statement: ast.stmt, others: Sequence[ast.stmt], lines: Sequence[str], text: str
) -> list[str]:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(d.lineno for d in decorators)])
    last = statement.end_lineno or first
    # `A = 2; train()`: not its neighbour in the line
    if any(
        s is not statement and s.lineno <= last and (s.end_lineno or 0) >= first for s in others
    ):
        return [ast.get_source_segment(text, statement) or ""]
    return list(lines[first - 1 : last])
