"""Scripts that are executed, and what is taken of them: only free global names are followed,
nothing that does more than define comes along, and what is made again is what it was.
"""

import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from raygan.config import load_component
from raygan.data.given import spec_of as of_samples
from raygan.errors import ConfigError
from raygan.own.names import split
from raygan.own.objects import spec_of
from raygan.own.script import needed
from raygan.own.source import SOURCES

HEAD = """from torch import nn
import torch, functools, dataclasses, enum, sys, os, logging, threading, typing
"""
BODY = """
    def generator(self, shape, z_dim): return nn.Linear(z_dim, *shape)
    def discriminator(self, shape): return nn.Sequential(nn.Linear(*shape, 1), nn.Flatten(0))
"""
NET = f"class Net:{BODY}"
TRAINS = "run = raygan.train()\n"


def cases(text: str) -> dict[str, str]:
    """Title -> script, of a text in which each begins by `# title`; METHODS: a network's."""
    indented = re.sub(
        "( *)METHODS\n", lambda m: BODY.strip("\n").replace("    ", m[1]) + "\n", text
    )
    parts = re.split("^# (.+)\n", indented, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script's text -> its namespace, as Python has it when it runs: its last line is done."""

    def run(text: str, argv: tuple[str, ...] = ()) -> dict[str, Any]:
        path = tmp_path / "script.py"
        path.write_text(text)
        main = types.ModuleType("__main__")
        main.__file__ = str(path)
        monkeypatch.setitem(sys.modules, "__main__", main)
        monkeypatch.setattr(sys, "argv", [str(path), *argv])
        exec(compile(text, str(path), "exec", dont_inherit=True), main.__dict__)
        return main.__dict__

    return run


LOCALS = {  # what names `x` in a class without reading the global one -> the class
    "an argument": "class A:\n    def f(self, x): return x",
    "a local": "def A():\n    x = 1\n    return x",
    "a loop": "def A():\n    for x in range(3): print(x)",
    "a comprehension": "def A(): return [x for x in range(3)]",
    "a generator expression": "class A:\n    B = tuple(x for x in range(3))",
    "a lambda": "A = lambda x: x + 1",
    "a lambda's default": "def A(): return lambda y, x=1: x",
    "a walrus": "def A():\n    return (x := 1) + x",
    "a closure": "def A():\n    x = 1\n    def g(): return x\n    return g",
    "nonlocal": (
        "def A():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    return g"
    ),
    "a class's own": "class A:\n    x: int = 1\n    y = x + 1",
    "a nested class": "class A:\n    class B:\n        def f(self, x): return x",
    "a keyword": "def A(): return dict(x=1)",
    "an attribute": "def A(self): return self.x.x",
    "except": "def A():\n    try: pass\n    except OSError as x: print(x)",
    "with": "def A(f):\n    with f as x: return x",
    "match": "def A(f):\n    match f:\n        case [x]: return x",
    "import": "def A():\n    import x\n    return x",
    "*args": "def A(*x, **y): return x, y",
    "a local's type": "def A():\n    y: x = 1",
    "del": "def A():\n    x = 1\n    del x",
}


@pytest.mark.parametrize("case", LOCALS)
def test_a_local_name_is_nobody_elses(case: str) -> None:
    text = f"import raygan\n{TRAINS}x = run.generator()\n{LOCALS[case]}\n"
    assert needed(text, ["A"]) == f"{LOCALS[case]}\n"


GLOBALS = {  # what reads a global name X -> the function or class
    "its body": "def A(): return X",
    "a nested function": "def A():\n    def g(): return X\n    return g",
    "a comprehension": "def A(): return [y for y in X]",
    "a class in a function": "def A():\n    class B:\n        y = X\n    return B",
    "a class of the same name": "class A:\n    X = X",
    "a base": "class A(X): pass",
    "a base's argument": "class A(object, metaclass=X): pass",
    "a decorator": "@X\ndef A(): pass",
    "a default": "def A(y=X): pass",
    "a type": "def A(y: X): pass",
    "what it gives": "def A() -> X: pass",
    "a field's type": "class A:\n    y: X",
    "a method's decorator": "class A:\n    @X\n    def f(self): pass",
    "a lambda": "A = lambda: X",
    "partial": "A = (lambda f: f)(X)",
    "an f-string": "def A(): return f'{X}'",
    "global": "def A():\n    global X\n    X += 1",
    "inside except": "def A():\n    try: pass\n    except X: pass",
}


@pytest.mark.parametrize("case", GLOBALS)
def test_a_global_name_is_followed(case: str) -> None:
    assert needed(f"X = 1\nY = 2\n{GLOBALS[case]}\n", ["A"]) == f"X = 1\n{GLOBALS[case]}\n"


BINDS = {  # a statement that binds X
    "a walrus": "print(X := 1)",
    "a walrus in a comprehension": "[X := y for y in range(3)]",
    "a walrus in any()": "any((X := y) for y in range(3))",
    "a pair": "X, Y = 1, 2",
    "a star": "Y, *X = 1, 2",
    "with a type": "X: int = 1",
    "adding": "X += 1",
    "with": "with Y as X: pass",
    "an import": "import os as X",
    "try": "try:\n    import X\nexcept ImportError:\n    X = None",
    "if": "if Y:\n    def X(): pass\nelse:\n    class X: pass",
    "a loop": "for X in (1, 2): pass",
}
NOT = {
    "a comprehension": "Y = [X for X in range(3)]",
    "a function's": "if Y:\n    def g():\n        X = 1",
    "a lambda's": "Y = lambda X: X",
    "an item": "X[0] = 1",
    "an attribute": "X.y = 1",
}


@pytest.mark.parametrize("case", [*BINDS, *NOT])
def test_what_binds_a_name(case: str) -> None:
    statement, function = {**BINDS, **NOT}[case], "def A(): return X"
    kept = f"{statement}\n{function}\n" if case in BINDS else f"{function}\n"
    assert needed(f"{statement}\n{function}\n", ["A"]) == kept


def test_a_notebook_may_wait_at_its_top() -> None:
    text = "async for x in run: print(x)\ny = await run\ndef A(x, y): return x\n"
    assert needed(text, ["A"]) == "def A(x, y): return x\n"


def test_a_neighbour_in_a_line_stays_there() -> None:
    text = "import raygan\nX = 1; run = raygan.train()\ndef A(): return X\nY = 'é'; X = 2  # a\n"
    assert needed(text, ["A"]) == "X = 1\ndef A(): return X\nX = 2\n"


DOES = {  # a top statement that binds X -> (its first lines, what it does)
    "a run": ("import raygan", "X = raygan.train('gap')", "a run (raygan.train)"),
    "another name": ("import raygan as r", "X = r.start('gap').wait()", "a run (r.start)"),
    "its function": ("from raygan import train as t", "X = t('gap')", "a run (t)"),
    "a loop": ("import raygan", "for X in (4, 9):\n    raygan.train()", "a run (raygan.train)"),
    "a run's folder": ("from raygan import Run", "X = Run.load('x')", "a run (Run.load)"),
    "through another": ("import raygan", "run = raygan.train()\nX = run.x", "a run (raygan.train)"),
    "argparse": (
        "import argparse\np = argparse.ArgumentParser()",
        "X = p.parse_args()",
        "command line (p.parse_args)",
    ),
    "argv": ("import sys", "X = int(sys.argv[1])", "command line (sys.argv)"),
    "from sys": ("from sys import argv", "X = argv[1:]", "command line (argv)"),
    "a file": ("", "with open('x') as f:\n    X = f.read()", "reads a file (open)"),
    "a path": ("from pathlib import Path", "X = Path('x').read_text()", "reads a file"),
    "an array": ("import numpy as np", "X = np.load('x.npy')", "reads a file (np.load)"),
    "the environment": ("import os", "X = os.environ.get('X', 4)", "environment (os.environ"),
    "a question": ("", "X = input()", "asks whoever sits there (input)"),
    "a program": ("import subprocess", "X = subprocess.run('x')", "starts a program"),
    "a default": ("import sys", "def X(y=sys.argv): pass", "command line"),
    "a class body": ("import sys", "class X:\n    y = sys.argv", "command line"),
    "a walrus": ("import sys", "print(X := sys.argv)", "command line"),
    "a condition": ("import sys", "if len(sys.argv) > 1: X = 3", "command line"),
}


@pytest.mark.parametrize("case", DOES)
def test_what_does_more_than_define_is_refused(case: str) -> None:
    head, statement, said = DOES[case]
    text = f"{head}\n{statement}\nclass A:\n    def f(self): return X\n"
    with pytest.raises(ConfigError) as told:
        needed(text, ["A"], "script.py")
    assert said in str(told.value)
    assert "A needs '" in str(told.value)
    assert "script.py:" in str(told.value)
    assert "a setting of A" in str(told.value)
    assert "\n" not in str(told.value)


DEFINES = {
    "in a function": "def X(): return open('x'), input(), raygan.train()",
    "in a lambda": "X = lambda: raygan.train()",
    "in a method": "class X:\n    def f(self): return sys.argv",
    "raygan's own": "X = raygan.losses.hinge.Hinge()",
    "a name of one's own": "def open(x): pass\nX = open(3)",
}


@pytest.mark.parametrize("case", DEFINES)
def test_what_defines_is_taken(case: str) -> None:
    statement = DEFINES[case]
    text = f"import raygan, sys\n{statement}\ndef A(): return X\n"
    assert statement in needed(text, ["A"])


ALIKE = cases(
    """# a plain class
class Net:
    METHODS
given = Net

# an instance
class Net:
    def __init__(self, w=2): self.w = w
    METHODS
given = Net(w=5)

# a module
class Net(nn.Module):
    def __init__(self, w=2):
        super().__init__()
        self.w, self.body = w, nn.utils.spectral_norm(nn.Linear(w, w))
        self.lazy, self.noise = nn.LazyLinear(3), torch.randn(w)
    METHODS
given = Net(w=5)

# a parametrized module
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    METHODS
given = Net()

# a dataclass
@dataclasses.dataclass
class Net:
    w: int = 2
    v: list = dataclasses.field(default_factory=list)
    METHODS
given = Net(w=3)

# slots
class Net:
    __slots__ = ('w',)
    def __init__(self, w=2): self.w = w
    METHODS
given = Net(4)

# a base of the script
class Base:
    def __init__(self, w=2): self.w = w
class Net(Base):
    METHODS
given = Net(w=3)

# a class of the script inside
class C:
    def __init__(self): self.x = [1, float('nan')]
class Net:
    def __init__(self): self.c = {'a': C()}
    METHODS
given = Net()

# one that refers to itself
class Net:
    def __init__(self): self.me = self; self.all = [self]
    METHODS
given = Net()

# an __eq__ that raises
class Net:
    def __eq__(self, other): raise KeyError
    def __init__(self): self.x = 1
    METHODS
given = Net()

# others' __eq__ that raises
import numpy as np
M = np.ma.array([1, 2])
class Net:
    m = M
    def __init__(self): self.x = np.array([float('nan'), 1])
    METHODS
given = Net()

# a decorator
def d(c):
    c.k = 3
    return c
@d
class Net:
    METHODS
given = Net

# a closure over a loop variable
FS = [lambda x, i=i: x + i for i in range(3)]
GS = [lambda x: x + i for i in range(3)]
class Net:
    f = FS, GS
    METHODS
given = Net

# partial
ACT = functools.partial(nn.LeakyReLU, 0.2)
class Net:
    a = ACT
    METHODS
given = Net

# lru_cache
@functools.lru_cache
def f(x): return x
f(3)
class Net:
    def g(self): return f(1)
    METHODS
given = Net

# constants
A, B = (1, 2.5), {'x': [float('nan'), None]}
C = torch.tensor([1.0, float('nan')])
D = torch.device('cpu')
class Net:
    x = A, B, C, D
    METHODS
given = Net

# an Enum
class Mode(enum.Enum):
    A = 1
S = {Mode.A}
class Net:
    m = Mode.A, S, list[Mode]
    def __init__(self, mode=Mode.A): self.mode = mode
    METHODS
given = Net()

# what cannot be compared
L, G, R = threading.Lock(), logging.getLogger(__name__), torch.Generator()
class Net:
    def __init__(self): self.x = L, G, R, iter([1]), object()
    METHODS
given = Net()

# a type of its own
P = typing.NamedTuple('P', [('a', int)])
class Net:
    def __init__(self, p: 'P | None' = None): self.p = P(1)
    METHODS
given = Net

# annotations as text
class Net:
    def f(self, x: Nowhere) -> Nowhere: ...
    METHODS
given = Net

# properties
class Net:
    @property
    def a(self): return A
    @functools.cached_property
    def b(self): return A
    @staticmethod
    def c(): return A
    @classmethod
    def d(cls): return super().__doc__
    METHODS
A = 3
given = Net()

# no_grad
@torch.no_grad()
def f(x): return x
class Net:
    def g(self): return f(1)
    METHODS
given = Net

# a condition
if sys.version_info > (3,):
    class Net:
        METHODS

given = Net

# try
try:
    import notthere
except ImportError:
    notthere = None
class Net:
    n = notthere
    METHODS
given = Net

# a star import
from math import *
class Net:
    p = pi
    METHODS
given = Net

# bound twice
W = 3
W = W + 1
class Net:
    def g(self): return W
    METHODS
given = Net

# deleted
for i in range(3): pass
class Net:
    n = i
    METHODS
del i
given = Net

# what it has computed already
class Net:
    @functools.cached_property
    def size(self): return 3
    METHODS
given = Net()
given.size

# a model whose defaults are of another type
from raygan.networks.plain import PlainNetwork
class Net(PlainNetwork):
    rate: float = 50
    made_of = None
given = Net()

# keys of two
T = {(1, 2): 3, Ellipsis: 4}
class Net:
    def g(self): return T
    METHODS
given = Net

# hooks
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Linear(2, 2)
        self.b.register_forward_hook(print)
    METHODS
given = Net()

# partial of a class
class Net:
    def __init__(self, w=2): self.w = w
    METHODS
given = functools.partial(Net, w=7)
"""
)
"""Scripts of which Net is taken; `given` is alike."""


@pytest.mark.parametrize("case", ALIKE)
def test_what_is_alike_is_taken(case: str, executed: Any) -> None:
    future = "from __future__ import annotations\n" if case == "annotations as text" else ""
    given = executed(f"{future}{HEAD}{ALIKE[case]}")["given"]
    spec = spec_of("network", given, of_samples)
    assert split(spec["name"]).key in SOURCES
    made: Any = load_component("network", spec)
    assert getattr(made, "w", 2) == spec.get("w", 2)


DIFFER = cases(
    """# changed by __init__ -> w is 16, and 32
class Net:
    def __init__(self, w=2): self.w = w * 2
    METHODS
given = Net(8)

# set later -> w is 32, and not there
class Net:
    METHODS
n = Net(); n.w = 32
given = n

# a list that grew -> w is [3], and []
class Net:
    def __init__(self): self.w = []
    METHODS
n = Net(); n.w.append(3)
given = n

# inside -> c[0].v is 3, and 2
class C:
    w = 1
    def __init__(self): self.v = 2
class Net:
    def __init__(self): self.c = [C()]
    METHODS
n = Net(); n.c[0].v = 3
given = n

# a model's own state -> _k is 3, and 2
from pydantic import PrivateAttr
from raygan.networks.plain import PlainNetwork
class Net(PlainNetwork):
    _k: int = PrivateAttr(2)
    made_of = None
given = Net()
given._k = 3

# a model that changes what it is given -> rate is 4.0, and 8.0
import pydantic
from raygan.networks.plain import PlainNetwork
class Net(PlainNetwork):
    rate: float = 1.0
    made_of = None
    @pydantic.field_validator("rate")
    @classmethod
    def twice(cls, v): return v * 2
given = Net(rate=2)

# a slot -> w is 3, and 2
class Net:
    __slots__ = ('w',)
    def __init__(self): self.w = 2
    METHODS
n = Net(); n.w = 3
given = n

# a module's shapes -> when it is made again
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Linear(2, 2)
    METHODS
n = Net(); n.b = nn.Linear(2, 3)
given = n

# a module's buffer -> x
class Net(nn.Module):
    METHODS
n = Net(); n.register_buffer('x', torch.zeros(3))
given = n

# a hook -> b._forward_hooks is [<built-in function len>], and []
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Linear(2, 2)
    METHODS
given = Net()
given.b.register_forward_hook(len)

# an item of two -> T[(1, 2)] is 4, and 3
T = {(1, 2): 3}
class Net:
    def g(self): return T
    METHODS
T[1, 2] = 4
given = Net

# an array -> w is tensor([0., 3.]), and tensor([0., 0.])
class Net:
    def __init__(self): self.w = torch.zeros(2)
    METHODS
n = Net(); n.w[1] = 3
given = n

# __eq__ that raises -> w is 2, and 1
class Net:
    def __eq__(self, other): raise KeyError
    def __init__(self): self.w = 1
    METHODS
n = Net(); n.w = 2
given = n

# a nested class's -> w is 16, and 32
def f():
    class Net:
        def __init__(self, w=2): self.w = w * 2
    return Net
N = f()
given = N(8)

# made again it raises -> cannot be made again with its settings
class Net:
    def __init__(self, w=2):
        assert w < 9
        self.w = w * 2
    METHODS
given = Net(8)

# made again it ends -> cannot be made again with its settings
class Net:
    def __init__(self, w=2):
        if w > 9: raise SystemExit
        self.w = w * 2
    METHODS
given = Net(8)

# a constant's item -> CFG['w'] is 9, and 4
CFG = {'w': 4}
class Net:
    def g(self): return CFG['w']
    METHODS
CFG['w'] = 9
given = Net

# a table that is filled -> T is [0, 1, 2], and []
T = []
class Net:
    def g(self): return T
    METHODS
for i in range(3): T.append(i)
given = Net

# a set -> S is {1, 2}, and {1}
S = {1}
class Net:
    def g(self): return S
    METHODS
S.add(2)
given = Net

# an object's attribute -> N.w is 2, and 1
import types
N = types.SimpleNamespace(w=1)
class Net:
    def g(self): return N
    METHODS
N.w = 2
given = Net

# a global that a function sets -> W is 3, and not there
def setup():
    global W
    W = 3
setup()
class Net:
    def g(self): return W
    METHODS
given = Net

# bound in main -> W is 3, and not there
class Net:
    def g(self): return W
    METHODS
if __name__ == '__main__':
    W = 3
given = Net

# globals() -> W is 4, and 3
W = 3
class Net:
    def g(self): return W
    METHODS
globals()['W'] = 4
given = Net

# a random number -> W is 0.
import random
W = random.random()
class Net:
    def g(self): return W
    METHODS
given = Net

# the command line, indirectly -> W is ['--width', '9'], and []
from raygan.own import importing
W = vars(sys)['argv'][1:]
class Net:
    def g(self): return W
    METHODS
given = Net

# a class attribute -> Net.w is 2, and 1
class Net:
    w = 1
    METHODS
Net.w = 2
given = Net

# a base's attribute -> Base.w is 2, and 1
class Base:
    w = 1
class Net(Base):
    METHODS
Base.w = 2
given = Net

# a method -> Net.discriminator is other code
class Net:
    METHODS

def other(self, shape): return 3
Net.discriminator = other
given = Net

# a function's attribute -> f.w is 1, and not there
def f(): return f.w
f.w = 1
class Net:
    def g(self): return f()
    METHODS
given = Net

# partial's argument -> is 2, and 1
W = [1]
F = functools.partial(print, W)
class Net:
    f = F
    METHODS
W[0] = 2
given = Net

# a closure -> F's c is 2, and 1
def make():
    c = 1
    def f():
        nonlocal c
        c += 1
    return f
F = make()
class Net:
    def g(self): return F()
    METHODS
F()
given = Net

# a file that has changed -> other code than its text
class Net:
    def g(self): return 1
    METHODS
import pathlib
me = pathlib.Path(__file__)
me.write_text(me.read_text().replace('return 1', 'return 2'))
given = Net
"""
)
"""Scripts of which `given` would be something else, and what is said of it."""


@pytest.mark.parametrize("case", DIFFER)
def test_what_would_be_something_else_is_refused(case: str, executed: Any) -> None:
    given = executed(f"{HEAD}{DIFFER[case]}", ("--width", "9"))["given"]
    with pytest.raises(ConfigError) as told:
        spec_of("network", given, of_samples)
    assert case.partition(" -> ")[2] in str(told.value)
    assert "\n" not in str(told.value)


def test_a_class_of_a_neighbouring_file_inside(
    executed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_it.py").write_text("class C:\n    def __init__(self): self.v = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = f"import beside_it\nclass Net:\n    def __init__(self): self.c = beside_it.C(){BODY}"
    here = executed(f"{HEAD}{text}\nn, same = Net(), Net()\nn.c.v = 3\n")
    assert spec_of("network", here["same"], of_samples)
    with pytest.raises(ConfigError, match=r"c\.v is 3, and 2"):
        spec_of("network", here["n"], of_samples)


@pytest.mark.parametrize(("now", "then"), [("W = 9", "W is 9, and 4"), ("Net.w = 9", "Net.w is 9")])
def test_a_module_of_the_users_that_was_changed(
    now: str, then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_nets_x.py").write_text(
        f"from torch import nn\nW = 4\nclass Net:\n    w = 1\n    def g(self): return W{BODY}"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_nets_x", raising=False)
    import my_nets_x

    assert spec_of("network", my_nets_x.Net, of_samples)
    exec(now, my_nets_x.__dict__)
    with pytest.raises(ConfigError, match=then):
        spec_of("network", my_nets_x.Net, of_samples)
    monkeypatch.delitem(sys.modules, "my_nets_x")


def test_what_was_used_since_it_was_made_is_made_anew(executed: Any) -> None:
    text = f"SEEN = []\nclass Net:\n    def g(self): SEEN.append(1){BODY}"
    here = executed(f"{HEAD}{text}\n")
    spec: Any = spec_of("network", here["Net"], of_samples)
    made: Any = load_component("network", spec)
    made.made_of().g()
    assert spec_of("network", here["Net"], of_samples) == spec, (
        "the copy has seen one, the script none"
    )


STARTS = {
    "train": "raygan.train('ring8-gap', steps=1, inline=True)",
    "start": "raygan.start('ring8-gap', steps=1, inline=True)",
    "resume": "raygan.train(resume='x', inline=True)",
    "inside": "from raygan.config import resolve\nfrom raygan.service.training import train\n"
    "train(resolve('ring8-gap'), inline=True)",
    "resume_run": "from raygan.service.resuming import resume_run\nresume_run('x')",
    "sweep": (
        "import pathlib\nfrom raygan.service.sweeps.tune import sweep\nsweep(pathlib.Path('x'))"
    ),
    "in a function": "def f(): raygan.train('ring8-gap')\nf()",
}


@pytest.mark.parametrize("case", STARTS)
def test_a_file_that_starts_something_when_it_is_loaded(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(f"{HEAD}import raygan\n{NET}\n{STARTS[case]}\n")
    with pytest.raises(ConfigError, match=r"nets\.py:\d+: .* is called while") as told:
        load_component("network", {"name": "./nets.py:Net"})
    assert "\n" not in str(told.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("sys.exit('no')", "SystemExit: no"),
        ("int(sys.argv[1])", "IndexError"),
    ],
)
def test_a_file_that_ends_the_program_when_it_is_loaded(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv := ["raygan", "9"])
    (tmp_path / "nets.py").write_text(f"{HEAD}{NET}\n{text}\n")
    with pytest.raises(ConfigError, match=rf"nets\.py:\d+: {said}.* Mend it\."):
        load_component("network", {"name": f"{tmp_path}/nets.py:Net"})
    assert sys.argv is argv


def test_a_script_makes_one_run(tmp_path: Path) -> None:
    """Its class reads `x` as an argument, and what is sampled is called so too."""
    settings = "num_pairs=2, steps=2, evaluation={'samples': 1500}, inline=True"
    (tmp_path / "script.py").write_text(
        f"{HEAD}import raygan\nclass Own(nn.Linear):\n    def forward(self, x): return"
        f" super().forward(x)\n{NET.replace('nn.Linear(z', 'Own(z')}\n"
        f"run = raygan.train('ring8-gap', network=Net, {settings})\n"
        "x = run.generator('mixture').sample(4, seed=0)\nprint(x.shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout.endswith("(4, 2)\n"), done.stderr
    runs = [p for p in (tmp_path / "runs").iterdir() if p.is_dir() and not p.is_symlink()]
    assert len(runs) == 1
    (text,) = (p.read_text() for p in runs[0].glob("code/*/script.py"))
    assert "raygan" not in text
    assert "class Own" in text
