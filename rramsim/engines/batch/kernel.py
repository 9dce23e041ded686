"""From a circuit to compiled code: written as a module into the cache, imported from there.

numba keeps its compiled form beside the module, so that only the first use of a circuit compiles.
"""

import hashlib
import importlib.util
import inspect
import os
import sys
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from rramsim.caches import cache_folder
from rramsim.engines.batch import (
    contractions,
    layout,
    stepping,
    transistor,
)
from rramsim.engines.batch.codegen import system_source
from rramsim.engines.batch.elements import Topology
from rramsim.files import atomic_path

__all__ = ["Kernel", "load_kernel"]

Kernel = Any

_TEMPLATE = '''"""Written by rramsim for one circuit; do not edit."""
import math

import numpy as np
from numba import njit as _njit

from rramsim.compiled import compiled as njit
from rramsim.engines.batch.transistor import mismatch
from rramsim.engines.batch.transistor import (
    free_inner, free_outer, free_values, junction, tied_inner, tied_outer, tied_values,
)

N, DRIVEN, Q, QB = {n}, {driven}, {q}, {qb}
READ, RESOLVE, MARGIN, CONVERGED, STEPS, SOLVES = range(6)


{body}
'''


@cache
def _marching() -> str:
    """The text of the functions that march in time, the same for every circuit."""
    functions = (stepping.source, stepping.crossing, stepping.march, stepping.run)
    return "\n\n".join(inspect.getsource(function) for function in functions)


def kernel_source(topology: Topology, *, q: str, qb: str) -> str:
    """The module's text for a circuit whose outputs are the nodes `q` and `qb`."""
    text = system_source(topology).replace("@njit(", "@_njit(")
    body = f"{text}\n\n{_marching()}"
    return _TEMPLATE.format(
        n=len(topology.unknown),
        driven=len(topology.driven),
        q=topology.unknown.index(q),
        qb=topology.unknown.index(qb),
        body=body,
    )


@lru_cache(maxsize=64)
def load_kernel(topology: Topology, *, q: str, qb: str) -> Kernel:
    """The compiled `run` for a circuit; compiles for about ten seconds the first time."""
    return _load(kernel_source(topology, q=q, qb=qb))


@cache
def _load(source: str) -> Kernel:
    # numba's cache asks whether this file changed, but not those that it inlines.
    digest = hashlib.sha256(source.encode())
    for module in (layout, transistor, contractions):
        digest.update(inspect.getsource(module).encode())
    name = f"rramsim_kernel_{digest.hexdigest()[:24]}"
    path = cache_folder() / f"{name}.py"
    if not _same(path, source):
        with atomic_path(path) as temporary:
            temporary.write_text(source, encoding="utf-8")
        # A fixed time keeps numba's index of a rewritten file valid: the name is its content.
    os.utime(path, (0, 0))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.run


def _same(path: Path, source: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == source
    except OSError:
        return False
