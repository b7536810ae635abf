"""What users' code that looks on has changed for the whole process, put back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """torch's default type and device, its gradients and threads, and the working directory are
    after it what they were before: inline, and in a driver, training goes on in this very process.
    """
    kind, device, threads = (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
    )
    gradients = torch.is_grad_enabled()
    try:
        here: Path | None = Path.cwd()
    except OSError:
        here = None  # gone: there is nothing to come back to
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        if torch.get_default_dtype() != kind:
            torch.set_default_dtype(kind)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if here is not None:
            with contextlib.suppress(OSError):
                os.chdir(here)
