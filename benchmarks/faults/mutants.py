"""Do the tests see it when what protects a run breaks? Small bugs are planted one at a time, and
the fast tests of that file run.

    planted     (file, old text, new text, what it breaks): by hand, benchmarks/faults/planted.py
    generated   comparison turned, `and` for `or`, a `not` dropped, a constant one higher, a
                statement, a `raise`, a keyword left out, nothing returned: from the file's syntax
                tree; of each file a fixed sample

Each runs in a fork that has PyTorch imported already and gets the changed module in place of the
file: no file is touched.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.abc
import importlib.machinery
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
import scipy.stats
import torch
import xxhash

from benchmarks.common import kept, show, write
from benchmarks.faults.planted import EQUIVALENT, PLANTED, TARGETS

PRELOADED = (ray, scipy.stats, torch, xxhash)
"""What a fork would spend seconds on."""
TURNED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
PATIENCE_S, TIMES = 60.0, 8
"""For the tests of one mutant, or so many times what the unchanged file takes; whatever takes
longer hangs, which is seen.
"""
TRIES = 3
"""For the unchanged file, whose tests may fail of what runs beside them."""


@dataclass(frozen=True)
class Mutant:
    """A file of the package with one small bug."""

    file: str
    name: str
    """Where and what; stays the same when lines move."""
    source: str
    planted: bool = False


# --------------------------------------------------------------------------------------------------
# generating


class Edits(ast.NodeVisitor):
    """Walks a module and notes (begin, end, new text, name) of each small change."""

    def __init__(self, source: str, within: Sequence[str]) -> None:
        self.raw = source.encode()
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.within = within
        self.path: list[str] = []
        self.found: list[tuple[int, int, str, str]] = []

    def span(self, node: Any) -> tuple[int, int]:
        """Where its text is, in bytes."""
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def text(self, node: ast.AST) -> str:
        """Its text."""
        begin, end = self.span(node)
        return self.raw[begin:end].decode()

    def note(self, begin: int, end: int, new: str, what: str, node: ast.AST) -> None:
        """One change, where this place is to be looked at."""
        where = ".".join(self.path)
        if self.path and (
            not self.within or any(where == w or where.startswith(w + ".") for w in self.within)
        ):
            self.found.append(
                (
                    begin,
                    end,
                    new,
                    f"{where or 'module'}: {what}: {' '.join(self.text(node).split())[:70]}",
                )
            )

    def _named(self, node: Any) -> None:
        self.path.append(node.name)
        for child in node.body:
            self.visit(child)
        self.path.pop()

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _named  # noqa: N815  ast's names

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Its value only."""
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people."""

    def visit_Expr(self, node: ast.Expr) -> None:
        """A call whose value nobody wants is left out."""
        if isinstance(node.value, (ast.Call, ast.Yield)):
            if isinstance(node.value, ast.Call):
                self.note(*self.span(node), "pass", "left out", node)
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Left out."""
        self.note(*self.span(node), "pass", "left out", node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        """Left out."""
        self.note(*self.span(node), "pass", "left out", node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """One to an attribute or an item is left out."""
        if all(isinstance(t, (ast.Attribute, ast.Subscript)) for t in node.targets) and self.path[
            -1:
        ] != ["__init__"]:
            self.note(*self.span(node), "pass", "left out", node)
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Left out; what it says is for people."""
        self.note(*self.span(node), "pass", "left out", node)

    def visit_Return(self, node: ast.Return) -> None:
        """None in its place."""
        if node.value is not None and not (
            isinstance(node.value, ast.Constant) and node.value.value is None
        ):
            self.note(*self.span(node), "return None", "None", node)
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """The first of its operators is turned."""
        begin, end = self.span(node.left)[1], self.span(node.comparators[0])[0]
        between = self.raw[begin:end].decode()
        open_ = "(" * between.count("(")
        close = ")" * between.count(")")
        self.note(begin, end, f"{close} {TURNED[type(node.ops[0])]} {open_}", "turned", node)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """The other one, at its first place."""
        begin, end = self.span(node.values[0])[1], self.span(node.values[1])[0]
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self.note(
            begin, end, self.raw[begin:end].decode().replace(old, new, 1), f"{new} for {old}", node
        )
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """`not` is dropped."""
        if isinstance(node.op, ast.Not):
            self.note(*self.span(node), f"({self.text(node.operand)})", "not dropped", node)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """One more; the other truth."""
        if isinstance(node.value, bool):
            self.note(*self.span(node), str(not node.value), "turned", node)
        elif isinstance(node.value, int):
            self.note(*self.span(node), f"({node.value} + 1)", "one more", node)

    def visit_Call(self, node: ast.Call) -> None:
        """Without its last keyword."""
        if node.keywords and node.keywords[-1].arg and (node.args or len(node.keywords) > 1):
            last = node.keywords[-1]
            before = node.keywords[-2] if len(node.keywords) > 1 else node.args[-1]
            self.note(self.span(before)[1], self.span(last)[1], "", f"without {last.arg}", node)
        self.generic_visit(node)


def generated(file: str, within: Sequence[str], sample: int) -> Iterator[Mutant]:
    """A fixed sample of a file's mutants: those whose names have the smallest hashes."""
    source = Path(file).read_text()
    edits = Edits(source, within)
    edits.visit(ast.parse(source))
    seen: dict[str, int] = {}
    all_ = []
    for begin, end, new, name in edits.found:
        seen[name] = seen.get(name, 0) + 1
        full = name if seen[name] == 1 else f"{name} #{seen[name]}"
        all_.append(
            Mutant(file, full, (edits.raw[:begin] + new.encode() + edits.raw[end:]).decode())
        )
    all_.sort(key=lambda m: hashlib.sha256(f"{m.file} {m.name}".encode()).digest())
    for mutant in all_[:sample]:
        compile(mutant.source, file, "exec")
        yield mutant


def planted(files: Sequence[str]) -> Iterator[Mutant]:
    """Those that were written by hand. Raises ValueError for one whose place is gone: it has to
    move with the code.
    """
    for file, old, new, what in PLANTED:
        source = Path(file).read_text()
        found = list(anyhow_laid_out(old).finditer(source))
        if len(found) != 1:
            raise ValueError(f"{file}: {what}: its text is there {len(found)} times: {old!r}")
        if file in files:
            mutated = source[: found[0].start()] + new + source[found[0].end() :]
            yield Mutant(file, what, mutated, planted=True)


def anyhow_laid_out(text: str) -> re.Pattern[str]:
    """A text of code, whichever way the formatter has broken its lines."""

    def loose(token: str) -> str:
        if token.isspace():
            return r"\s+"
        around = {"(": r"{}\s*", "[": r"{}\s*", "{": r"{}\s*"} | dict.fromkeys(")]}", r",?\s*{}")
        return around.get(token, "{}").format(re.escape(token))

    lead, body, trail = re.fullmatch(  # type: ignore[union-attr]
        r"(\s*)(.*?)(\s*)", text, re.DOTALL
    ).groups()
    tokens = re.findall(r"\w+|\s+|[^\w\s]", body)
    inner = "".join(map(loose, tokens)).removesuffix(r"\s*")
    return re.compile(re.escape(lead) + inner + re.escape(trail))


# --------------------------------------------------------------------------------------------------
# running


class Instead(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Gives one module another source than its file's."""

    def __init__(self, file: str, source: str) -> None:
        self.path = str(Path(file).resolve())
        self.module = file.removesuffix(".py").replace("/", ".")
        self.source = source

    def find_spec(
        self, name: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Of that module only."""
        if name != self.module:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, origin=self.path)
        spec.has_location = True
        return spec

    def get_filename(self, fullname: str) -> str:
        """The file that it stands for."""
        return self.path

    def get_data(self, path: str | bytes) -> bytes:
        """The changed source; nothing else is asked for, since there is no cache of it."""
        if str(path) != self.path:
            raise OSError(path)
        return self.source.encode()


def fork(tests: Sequence[str], mutant: Mutant | None) -> int:
    """The id of a process of its own that runs the tests; its exit status is pytest's."""
    if pid := os.fork():
        return pid
    try:
        os.setpgid(0, 0)
        quiet = os.open(
            os.environ.get("MUTANTS_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        for name in [n for n in sys.modules if n.partition(".")[0] in ("raygan", "tests")]:
            del sys.modules[name]
        if mutant is not None:
            sys.meta_path.insert(0, Instead(mutant.file, mutant.source))
        torch.set_num_threads(1)
        marks = "not ray and not exhaustive and not timed"
        options = [
            "-x",
            "-q",
            "-n",
            "0",
            "-m",
            marks,
            "-p",
            "no:cacheprovider",
            "--tb=line",
            "-o",
            "addopts=",
        ]
        status = int(pytest.main([*options, *tests]))
    except BaseException:
        status = 3
    os._exit(status)


def wait_for(
    running: dict[int, tuple[Mutant | None, float]], patience: dict[str, float]
) -> tuple[Mutant | None, int, float]:
    """The next that has ended: (which, its status; -1 if it hung, seconds). patience: by file."""
    while True:
        for pid, (mutant, began) in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            took = time.perf_counter() - began
            if not ended and took > patience.get(mutant.file if mutant else "", 10 * PATIENCE_S):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                status = -1
            elif not ended:
                continue
            del running[pid]
            return mutant, status if status == -1 else os.waitstatus_to_exitcode(status), took
        time.sleep(0.01)


def main() -> None:
    """All files, or those that contain `--only`; or what survived the last time."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "sample", type=int, nargs="?", default=24, help="generated mutants a file, at most"
    )
    parser.add_argument(
        "--only", nargs="+", default=[""], help="texts in the names of the files; others' rows stay"
    )
    parser.add_argument("--planted", action="store_true", help="those by hand only")
    parser.add_argument(
        "--again",
        action="store_true",
        help="those only that survived the last time; tests were added since",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    files = [f for f in TARGETS if any(text in f for text in args.only)]
    if args.again:
        once_more(args.jobs)
        return
    patience = {name: max(PATIENCE_S, TIMES * unchanged(name)) for name in files}
    mutants = [*planted(files)]
    if not args.planted:
        mutants += [m for f in files for m in generated(f, TARGETS[f].within, args.sample)]
    began = time.perf_counter()
    outcome = run_all(mutants, args.jobs, patience)
    report(
        mutants,
        outcome,
        time.perf_counter() - began,
        args.sample,
        keep=not args.planted,
    )


def once_more(jobs: int) -> None:
    """Those that survived, against the tests as they are now; what was killed stays killed, since
    tests were only added.
    """
    found = kept("mutants")
    files = dict.fromkeys(name.partition(": ")[0] for name in found["survivors"])
    whole = (
        m for f in files for m in [*planted([f]), *generated(f, TARGETS[f].within, found["sample"])]
    )
    mutants = [m for m in whole if f"{m.file}: {m.name}" in found["survivors"]]
    began = time.perf_counter()
    outcome = run_all(mutants, jobs, {f: max(PATIENCE_S, TIMES * unchanged(f)) for f in files})
    for mutant in mutants:
        for row in (found["files"][mutant.file], found["all"]):
            row["survived"] -= 1
            row[outcome[mutant]] += 1
    found["survivors"] = [f"{m.file}: {m.name}" for m in mutants if outcome[m] == "survived"]
    found["planted_survived"] = sum(m.planted and outcome[m] == "survived" for m in mutants)
    found["seconds"] += time.perf_counter() - began
    tell(found["files"], found["all"])
    print(write("mutants", {k: v for k, v in found.items() if k != "conditions"}))


def unchanged(name: str) -> float:
    """Seconds that a file's tests take as it is. Raises SystemExit where they do not pass."""
    status = 1
    for _ in range(TRIES):
        _, status, took = wait_for(
            {fork(TARGETS[name].tests, None): (None, time.perf_counter())}, {}
        )
        print(f"{name}: unchanged, {took:.1f} s", flush=True)
        if status == 0:
            return took
    raise SystemExit(f"{name}: its tests do not pass as it is (exit {status}).")


def run_all(mutants: Sequence[Mutant], jobs: int, patience: dict[str, float]) -> dict[Mutant, str]:
    """mutant -> "killed", "hung" (seen, too), "equivalent" (argued; not run) or "survived"."""
    todo = [m for m in reversed(mutants) if f"{m.file}: {m.name}" not in EQUIVALENT]
    outcome = {m: "equivalent" for m in mutants if f"{m.file}: {m.name}" in EQUIVALENT}
    running: dict[int, tuple[Mutant | None, float]] = {}
    while todo or running:
        while todo and len(running) < jobs:
            mutant = todo.pop()
            running[fork(TARGETS[mutant.file].tests, mutant)] = mutant, time.perf_counter()
        ended, status, _ = wait_for(running, patience)
        assert ended is not None
        outcome[ended] = {0: "survived", -1: "hung"}.get(status, "killed")
        if status == 0:
            print(f"survived: {ended.file}: {ended.name}", flush=True)
    return outcome


def report(
    mutants: Sequence[Mutant], outcome: dict[Mutant, str], seconds: float, sample: int, keep: bool
) -> None:
    """The table, and where all mutants of a file were run, the file of results."""
    before = kept("mutants") if keep else {}
    old = {f: r for f, r in before.get("files", {}).items() if f in TARGETS}
    rows = dict(old)
    for file in dict.fromkeys(m.file for m in mutants):
        its = [outcome[m] for m in mutants if m.file == file]
        rows[file] = {k: its.count(k) for k in ("killed", "hung", "equivalent", "survived")}
    total = {
        k: sum(r[k] for r in rows.values()) for k in ("killed", "hung", "equivalent", "survived")
    }
    run = {m.file for m in mutants}
    survivors = [
        *(s for s in before.get("survivors", []) if s.partition(": ")[0] in old.keys() - run),
        *(f"{m.file}: {m.name}" for m in mutants if outcome[m] == "survived"),
    ]
    by_hand = {f"{m.file}: {m.name}" for m in planted(list(TARGETS))}
    lost = len(by_hand & set(survivors))
    tell(rows, total)
    print(f"by hand: {lost} of {len(by_hand)} survived; {seconds:.0f} s")
    if keep:
        payload = {
            "sample": sample,
            "files": rows,
            "all": total,
            "survivors": survivors,
            "planted": len(by_hand),
            "seconds": seconds,
            "planted_survived": lost,
        }
        print(write("mutants", payload))


def tell(rows: dict[str, dict[str, int]], total: dict[str, int]) -> None:
    """The table."""
    shown = {**rows, "all": total}
    columns = [
        [f, sum(r.values()), r["killed"] + r["hung"], r["hung"], r["equivalent"], r["survived"]]
        for f, r in shown.items()
    ]
    show(
        ["file", "mutants", "killed", "of these by a time-out", "equivalent", "survived"],
        [[str(c) for c in row] for row in columns],
    )


if __name__ == "__main__":
    main()
