"""A GPU's rules without a GPU: tensors that say cuda:0, and compute on the CPU with real numbers.

    with FakeCuda() as seen:  ...     this thread; seen.syncs, seen.copies, seen.launches by line

    calls       TorchFunctionMode   what names a device, or asks for one: x.device, x.to, device=
    operations  TorchDispatchMode   every ATen operation, backward's too: no mixing, results stay

Raised as on a GPU: tensors of two devices in one operation, x.numpy() and np.asarray(x) of one that
is there, a generator of the other device, an index there into a tensor here. Where a tensor lives
is noted of its storage, so views share it.

What it cannot show: time, memory and its end, streams and races, kernels with rounding and random
numbers of their own, layers that draw from a default generator nobody has seeded, autocast's own
table of operations (it is the CPU's here).
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # a mode of operations asks for it, and it must not meet what is replaced here
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from tests.devices.fake_graph import Recording

HOST, GPU = torch.device("cpu"), torch.device("cuda", 0)
OURS = tuple(f"{Path(__file__).parents[2] / part}/" for part in ("raygan", "benchmarks"))
NAME = "Fake CUDA"
WAITS = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "equal"}
"""Operations whose result, or its shape, the host has to wait for."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put"}
"""May take indices of the host, which are copied there."""
TOGETHER = ("_foreach", "_fused", "cat", "stack")
"""Take no number of the host among the device's tensors."""
FREE = {"detach", "alias", "lift_fresh", "set_", "resize_", "_local_scalar_dense", "copy_"}
"""No launch of a kernel; a copy is counted as one."""
_Generator, _grouped = torch.Generator, torch._C._group_tensors_by_device_and_dtype


class Homes:
    """Storages that are marked. A weak reference keeps an address from being given out again."""

    def __init__(self) -> None:
        self.marked: dict[int, StorageWeakRef] = {}
        self.sweep_at = 20_000

    def put(self, x: Tensor, marked: bool = True) -> Tensor:
        """Mark a tensor's storage, or take the mark away."""
        reference = StorageWeakRef(x.untyped_storage())
        if not marked:
            self.marked.pop(reference.cdata, None)
            return x
        self.marked[reference.cdata] = reference
        if len(self.marked) > self.sweep_at:
            self.marked = {k: r for k, r in self.marked.items() if not r.expired()}
            self.sweep_at = 20_000 + 2 * len(self.marked)
        return x

    def __contains__(self, x: Tensor) -> bool:
        while torch._C._functorch.is_functorch_wrapped_tensor(x):
            x = torch._C._functorch.get_unwrapped(x)
        return x.untyped_storage()._cdata in self.marked


class Seen:
    """What was counted, by the line of raygan that asked."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin at nothing."""
        self.capturing, self.refused, self.broken = False, 0, ""
        self.syncs, self.copies = Counter[str](), Counter[str]()
        """Times that the host waits; copies between host and device."""
        self.launches, self.bytes = 0, Counter[str]()
        """Kernels; bytes to the device ("up") and from it ("down")."""

    def refuse(self, what: str) -> None:
        """Raises RuntimeError while a graph is captured."""
        if self.capturing:
            self.refused += 1
            raise RuntimeError(
                f"CUDA error: operation not permitted when stream is capturing: {what} ({line()})"
            )

    def copy(self, up: bool, nbytes: int, waits: bool = True) -> None:
        """A copy; the host waits for one that is not pinned, and for all that come down."""
        self.refuse("a copy between host and device")
        direction, at = "up" if up else "down", line()
        self.copies[f"{direction} {at}"] += 1
        self.bytes[direction] += nbytes
        if waits:
            self.syncs[f"{direction} {at}"] += 1

    def wait(self) -> None:
        """The host asks for a number."""
        self.refuse("a wait")
        self.syncs[f"item {line()}"] += 1


def line() -> str:
    """The innermost line of raygan or its benchmarks."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(OURS):
            where = Path(name).relative_to(Path(OURS[0]).parent)
            return f"{where}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "a test"


class Operations(TorchDispatchMode):
    """What the device does with each operation."""

    def __init__(self, there: Homes, seen: Seen) -> None:
        super().__init__()
        self.there, self.seen = there, seen
        self.recording: Recording | None = None
        self.makes = False
        """Is what is made now the device's?"""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Check, count, compute; results are where the arguments are."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        where = [t in self.there for t in tensors]
        if any(where):
            self.check(func, name, args, tensors, where)
            self.count(func, name, tensors, where)
        recording = self.recording if any(where) or self.makes else None
        if recording is not None:
            recording.before(func, tensors)
        out = func(*args, **kwargs)
        if recording is not None:
            recording.after(func, args, kwargs, out)
        if where and (where[0] if name == "copy_" else any(where)):
            for made in tree_leaves(out):
                if isinstance(made, Tensor):
                    self.there.put(made)
        return out

    def check(
        self, func: Any, name: str, args: Any, tensors: list[Tensor], where: list[bool]
    ) -> None:
        """Raises RuntimeError where a GPU would."""
        strangers = [t for t, there in zip(tensors, where, strict=True) if not there]
        if name in ("copy_", "_to_copy", "set_", "is_same_size") or not strangers:
            return
        if name in INDEXED:
            if args[0] not in self.there:
                raise RuntimeError(f"indices should be on the CPU, as the tensor is ({line()})")
            strangers = [t for t in args[2:3] if isinstance(t, Tensor) and t not in self.there]
        written = func._schema.is_mutable and not where[0]
        if any(t.dim() for t in strangers) or written or name.startswith(TOGETHER):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices,"
                f" cuda:0 and cpu! ({name}, {line()})"
            )

    def count(self, func: Any, name: str, tensors: list[Tensor], where: list[bool]) -> None:
        """Syncs, copies and launches."""
        if name == "_local_scalar_dense" or name in WAITS:
            self.seen.wait()
        elif name == "copy_" and where[0] != where[1]:
            self.seen.copy(where[0], tensors[1].nbytes)
        elif name in INDEXED:
            for t, there in zip(tensors, where, strict=True):
                if not there and t.dim():
                    self.seen.copy(True, t.nbytes)
                elif t.dtype == torch.bool:
                    self.seen.wait()
        if not (func.is_view or name in FREE or "empty" in name):
            self.seen.launches += 1


class OnDevice(_Generator):
    """A generator that says cuda:0; its numbers are the CPU's."""

    device = GPU  # type: ignore[assignment]


class Generator(_Generator):
    """In the place of torch.Generator."""

    def __new__(cls, device: Any = "cpu") -> _Generator:  # type: ignore[misc]
        """One of the device, or of the host."""
        return _Generator.__new__(OnDevice if torch.device(device).type == "cuda" else _Generator)


class Autocast(torch.autocast):
    """The CPU's, whatever it is asked for."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu", *args, **kwargs)


class FakeCuda(TorchFunctionMode):
    """The device. In other threads there is none, but for its name."""

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.there, self.pinned, self.seen = Homes(), Homes(), Seen()
        self.below = Operations(self.there, self.seen)
        self.calls: dict[Any, Callable[..., Any]] = {
            Tensor.device.__get__: lambda x: self.where(x),
            Tensor.is_cuda.__get__: lambda x: x in self.there,
            Tensor.is_cpu.__get__: lambda x: x not in self.there,
            Tensor.to: self.to,
            Tensor.cpu: lambda x: self.move(x, HOST),
            Tensor.cuda: lambda x, *_, **__: self.move(x, GPU),
            Tensor.pin_memory: self.pin,
            Tensor.is_pinned: lambda x, *_: x in self.pinned,
            Tensor.numpy: self.numpy(Tensor.numpy),
            Tensor.__array__: self.numpy(Tensor.__array__),
            Tensor.tolist: self.tolist,
            Tensor.__deepcopy__: self.deepcopy,
        }
        self.patches = [mock.patch.object(at, name, new) for at, name, new in replaced(self, count)]

    def __enter__(self) -> Seen:  # type: ignore[override]
        """What is counted."""
        with contextlib.ExitStack() as stack:
            for patch in self.patches:
                stack.enter_context(patch)
            stack.enter_context(self.below)
            self.stack = stack.pop_all()
        super().__enter__()
        return self.seen

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.stack.close()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """A call that the device answers, that makes a tensor, or any other."""
        kwargs = dict(kwargs or {})
        if (answer := self.calls.get(func)) is not None:
            return answer(*args, **kwargs)
        asked = kwargs.get("device")
        there = None if asked is None else torch.device(asked).type == "cuda"
        self.check_generator(kwargs.get("generator"), there, args)
        if there:
            kwargs["device"] = HOST
        pinned = bool(kwargs.pop("pin_memory", False))
        self.below.makes = bool(there)
        try:
            out = func(*args, **kwargs)
        finally:
            self.below.makes = False
        if there is not None and isinstance(out, Tensor):
            self.there.put(out, there)
            if there and func in (torch.tensor, torch.as_tensor):
                self.seen.copy(True, out.nbytes)
            elif there:
                self.seen.launches += func is not torch.empty
        return self.pinned.put(out) if pinned else out

    @contextlib.contextmanager
    def capture(self, graph: Recording, **_: Any) -> Iterator[None]:
        """Within it nothing happens on the device but that `graph` learns what to do."""
        self.below.recording, self.seen.capturing = graph, True
        refused = self.seen.refused
        try:
            yield
        finally:
            self.below.recording, self.seen.capturing = None, False
            graph.undo()
            if self.seen.refused > refused:
                self.seen.broken = "Offset increment outside graph capture encountered"

    def where(self, x: Tensor) -> torch.device:
        """Where it lives."""
        return GPU if x in self.there else HOST

    def check_generator(self, generator: Any, there: bool | None, args: Any) -> None:
        """Raises RuntimeError for one of the other device."""
        if generator is None:
            return
        if self.seen.broken:
            raise RuntimeError(self.seen.broken)
        graph = self.below.recording
        if graph is not None and all(generator is not known for known in graph.generators):
            raise RuntimeError("a generator that is not registered with the graph draws in it")
        if there is None:
            there = bool(args) and isinstance(args[0], Tensor) and args[0] in self.there
        if isinstance(generator, OnDevice) != there:
            want, have = ("cuda", "cpu") if there else ("cpu", "cuda")
            raise RuntimeError(
                f"Expected a '{want}' device type for generator but found '{have}' ({line()})"
            )

    def to(self, x: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
        """x.to(device, dtype), x.to(other)."""
        if args and isinstance(args[0], Tensor):
            args = (self.where(args[0]), args[0].dtype, *args[1:])
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
        out = x if device is None else self.move(x, device, non_blocking)
        if dtype is not None:
            out = Tensor.to(out, dtype)
        return out.clone() if copy and out is x else out

    def move(self, x: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
        """To a device; itself where it is there already."""
        there = device.type == "cuda"
        if (x in self.there) == there:
            return x
        self.seen.copy(there, x.nbytes, waits=not (there and non_blocking and x in self.pinned))
        with _disable_current_modes():
            out = x.clone()
        return self.there.put(out, there)

    def pin(self, x: Tensor, *_: Any) -> Tensor:
        """A copy of a host's tensor in memory that the device can read by itself."""
        assert x not in self.there, "only a tensor of the host can be pinned"
        return self.pinned.put(x.clone())

    def numpy(self, func: Any) -> Callable[..., Any]:
        """Raises TypeError of a tensor that is there."""

        def call(x: Tensor, *args: Any, **kwargs: Any) -> Any:
            if x in self.there:
                raise TypeError(
                    "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the"
                    f" tensor to host memory first. ({line()})"
                )
            return func(x, *args, **kwargs)

        return call

    def tolist(self, x: Tensor) -> Any:
        """One copy, and the host waits."""
        if x in self.there:
            self.seen.copy(False, x.nbytes)
        with _disable_current_modes():
            return Tensor.tolist(x)

    def deepcopy(self, x: Tensor, memo: Any) -> Tensor:
        """It copies the storage, past all operations."""
        out = Tensor.__deepcopy__(x, memo)
        return self.there.put(out, x in self.there)


def replaced(fake: FakeCuda, count: int) -> Iterator[tuple[Any, str, Any]]:
    """(module, name, what stands there): torch's own word on devices, which asks no tensor."""

    def grouped(lists: Any, *more: Any) -> Any:
        out = {}
        for (_, dtype), found in _grouped(lists, *more).items():
            places = {fake.where(t) for t in found[0][0] if t is not None}
            assert len(places) == 1, f"tensors of one optimizer on two devices ({line()})"
            out[places.pop(), dtype] = found
        return out

    def nothing(*_: Any, **__: Any) -> None:
        return None

    yield from ((torch, "Generator", Generator), (torch, "autocast", Autocast))
    yield torch._C, "_group_tensors_by_device_and_dtype", grouped
    for module in (torch.cuda, torch.accelerator):
        yield module, "is_available", lambda: True
        yield module, "device_count", lambda: count
        yield module, "synchronize", nothing
    for name in ("set_device", "manual_seed", "manual_seed_all", "empty_cache"):
        yield torch.cuda, name, nothing
    yield torch.cuda, "set_rng_state", lambda *_: fake.seen.refuse("a generator's state")
    yield torch.cuda, "CUDAGraph", Recording
    yield torch.cuda, "graph", fake.capture
    yield torch.cuda, "graph_pool_handle", lambda: (0, 1)
    yield torch.cuda, "is_current_stream_capturing", lambda: fake.seen.capturing
    yield torch.cuda, "current_stream", lambda *_: stream
    yield torch.cuda, "stream", lambda *_: contextlib.nullcontext()
    yield torch.cuda, "set_per_process_memory_fraction", mock.Mock()
    yield torch.cuda, "is_initialized", lambda: True
    yield torch.cuda, "get_rng_state", lambda *_: torch.empty(0, dtype=torch.uint8)
    yield torch.cuda, "device", lambda *_: contextlib.nullcontext()
    yield torch.cuda, "get_device_name", lambda *_: NAME
    yield torch.cuda, "mem_get_info", lambda *_: (3 << 30, 4 << 30)
    memory = SimpleNamespace(name=NAME, total_memory=4 << 30, uuid="GPU-fake")
    yield torch.cuda, "get_device_properties", lambda *_: memory
    yield torch.accelerator, "current_accelerator", lambda *_, **__: torch.device("cuda")
    yield torch.accelerator, "current_device_index", lambda: 0
    stream = SimpleNamespace(is_capturing=lambda: fake.seen.capturing)
    yield torch.accelerator, "current_stream", lambda *_: stream
    yield torch.accelerator, "set_device_index", nothing
