"""PyTorch's threads within the limit that the environment sets."""

import os

import torch

__all__ = ["respect_thread_limit"]


def respect_thread_limit() -> None:
    """Let PyTorch use no more threads than `OMP_THREAD_LIMIT` allows.

    PyTorch counts the cores and does not read that variable; OpenMP does, and starts fewer threads
    than PyTorch then waits for. The gradient of a convolution waits forever (PyTorch 2.13 on a
    processor). A value that OpenMP would not accept is left to it.
    """
    limit = os.environ.get("OMP_THREAD_LIMIT", "").strip()
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < torch.get_num_threads():
        torch.set_num_threads(int(limit))
