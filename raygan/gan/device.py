"""Where a process computes, by torch's own word for it: CUDA and ROCm are "cuda", Intel's "xpu",
Apple's "mps". What befalls a device, in one line.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence

import torch

from raygan.errors import InfeasibleError

CPU = torch.device("cpu")
VISIBLE = "CUDA_VISIBLE_DEVICES"
LOST = re.compile(r"\b(CUDA|HIP|XPU|MPS|CUDNN|cuDNN|CUBLAS|NCCL)\b.*\b(error|ERROR|STATUS)", re.S)
"""What torch raises of a device that is of no use any more, as a RuntimeError."""
HOST_OOM = "DefaultCPUAllocator: can't allocate"


def accelerator() -> str | None:
    """The kind of accelerator that torch can use here; None: there is none."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return None if found is None else found.type


def chosen(asked: str, granted: Sequence[int | str] | None = None) -> torch.device:
    """The device of `config.device`, in a process that Ray gave the GPUs `granted`; None: in one
    without Ray, which may use what is there. Raises InfeasibleError.
    """
    # Ray's word counts: what it gave to others is not taken, whatever torch sees
    if asked == "cpu" or (asked == "auto" and granted is not None and not granted):
        return CPU
    kind = accelerator()
    if granted is not None and not granted:
        raise InfeasibleError(
            f"device = {asked}: Ray gave this player no GPU. Raise resources.gpus_per_pair above 0,"
            " or use --device cpu."
        )
    if kind is None and granted:
        raise InfeasibleError(
            f"device = {asked}: Ray gave GPU {granted[0]}, and torch {torch.__version__} there"
            " finds none. Install a torch for that GPU, or use --device cpu."
        )
    if kind is None:
        if asked == "auto":
            return CPU
        raise InfeasibleError(no_gpu(asked))
    return torch.device(kind, index_of(granted) if granted else 0)


def no_gpu(asked: str) -> str:
    """The line about a machine without one."""
    return (
        f"device = {asked}: torch {torch.__version__} finds no GPU here. Install a torch for it, or"
        " use --device cpu or auto."
    )


def index_of(granted: Sequence[int | str]) -> int:
    """torch's number of the first GPU that Ray gave: Ray hides all others from the process, unless
    it was told not to (RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES).

    >>> index_of([1]) if VISIBLE not in os.environ else 1
    1
    """
    # Ray names GPUs by the node's numbers; torch counts those that the process may see
    first, visible = str(granted[0]), os.environ.get(VISIBLE)
    if visible is None:
        return int(first) if first.isdigit() else 0
    seen = [name.strip() for name in visible.split(",")]
    if not kept_visible():
        return 0
    return seen.index(first) if first in seen else 0


def kept_visible() -> bool:
    """Was Ray told to leave the process's visible devices alone?"""
    return os.environ.get(f"RAY_EXPERIMENTAL_NOSET_{VISIBLE}", "") not in ("", "0")


def settle(device: torch.device, exact: bool, share: float = 1.0, needs: int = 0) -> None:
    """Make it this process's, with no more than its share of the memory; exact: the same bits from
    the same numbers, as lockstep promises (no TF32, no choice of a convolution by its speed).
    Raises InfeasibleError where the share is less than `needs`, bytes.
    """
    if device.type == "cpu":
        return
    if needs:
        refuse_small(device, share, needs)
    torch.accelerator.set_device_index(device.index or 0)
    if exact:
        # benchmark would choose a convolution by a race, and another one the next time
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if 0 < share < 1 and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share, device.index or 0)


def refuse_small(device: torch.device, share: float, needs: int) -> None:
    """Raises InfeasibleError where a share of a device's memory is less than so many bytes."""
    whole = torch.get_device_module(device).get_device_properties(device).total_memory
    if share * whole >= needs:
        return
    asks = f"resources.gpu_memory_per_pair asks {needs / 2**30:.2f} GiB for the players here"
    raise InfeasibleError(
        f"{described(device)}: {asks}, and a share of {share:g} of its {whole / 2**30:.2f} GiB is"
        f" {share * whole / 2**30:.2f} GiB. "
        + (
            f"Set resources.gpus_per_pair to {math.ceil(100 * needs / whole) / 100:g} or more."
            if needs <= whole
            else "Lower it, or resources.pairs_per_actor."
        )
    )


def described(device: torch.device) -> str:
    """For run.json: cpu, or the GPU's name."""
    if device.type == "cpu":
        return "cpu"
    module = torch.get_device_module(device)
    name = getattr(module, "get_device_name", None)
    return f"{device} ({name(device)})" if name else str(device)


def death_of(error: BaseException) -> tuple[str, str] | None:
    """(kind of `failures`, cause in one line) of an error after which a process's device is of no
    use to it; None: another error.

    >>> death_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))[0]
    'oom'
    >>> death_of(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    True
    """
    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError):
        return "oom", memory_line(text)
    if isinstance(error, MemoryError) or HOST_OOM in text:
        return "oom", "out of memory on its machine; lower num_pairs or network widths"
    # an older torch has no such class; isinstance of () is never true
    accelerator_error = getattr(torch, "AcceleratorError", ())
    if isinstance(error, accelerator_error) or (
        isinstance(error, RuntimeError) and LOST.search(text)
    ):
        return "death", text.partition(". ")[0].partition(" Compile with")[0][:160].rstrip(".")
    return None


def memory_line(text: str) -> str:
    """What of torch's paragraph a user needs: asked for, there, free, the cap; and what to do.

    >>> memory_line("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
    ...     "79.10 GiB of which 1.06 GiB is free. 39.00 GiB allowed; Of the allocated memory")
    'GPU 0 out of memory: asked 2.00 GiB, total 79.10 GiB, free 1.06 GiB, cap 39.00 GiB; lower \
batch_size, network widths or the pairs on a GPU'
    """
    size = r"([\d.]+ [KMGT]?i?B)"
    patterns = {
        "asked": rf"allocate {size}",
        "total": rf"capacity of {size}",
        "free": rf"of which {size}",
        "cap": rf"{size} allowed",
    }
    # torch words this anew now and then: what is not found is left out, the advice stays
    found = {name: re.search(pattern, text) for name, pattern in patterns.items()}
    facts = ", ".join(f"{name} {match[1]}" for name, match in found.items() if match)
    gpu = re.search(r"\bGPU (\d+)", text)
    which = f"GPU {gpu[1]}" if gpu else "GPU"
    return (
        f"{which} out of memory{facts and ': ' + facts}; lower batch_size, network widths or the"
        " pairs on a GPU"
    )
