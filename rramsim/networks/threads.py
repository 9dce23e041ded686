"""PyTorch's threads within the limit that the environment sets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["within_thread_limit"]


@contextmanager
def within_thread_limit() -> Iterator[None]:
    """Let PyTorch use no more threads than `OMP_THREAD_LIMIT` allows, for the time of a training.

    PyTorch counts the cores and does not read that variable; OpenMP does, and starts fewer threads
    than PyTorch then waits for. The gradient of a convolution waits forever (PyTorch 2.13 on a
    processor). A value that OpenMP would not accept is left to it.
    """
    limit, before = os.environ.get("OMP_THREAD_LIMIT", "").strip(), torch.get_num_threads()
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit) < before):
        yield
        return
    torch.set_num_threads(int(limit))
    try:
        yield
    finally:
        torch.set_num_threads(before)
