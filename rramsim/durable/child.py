"""One piece of work in a child that can be killed, whatever it is doing.

A simulator inside this process cannot: Python hears of an interrupt once the library returns, and a
crash of the library is a crash of the program. The child is forked, so it need not load again what
is loaded; who forks should have loaded little.
"""

import gc
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

from rramsim.exceptions import InputError, MachineError

Value = TypeVar("Value")


def in_child(act: Callable[[], Value], *, what: str) -> Value:
    """What `act` returns, found in a forked child; `what` names it in messages.

    `InputError` and `MachineError` come through as they are; a child that dies is a `MachineError`.
    An interrupt ends the child at once, and the child ends with this process. Its temporary files
    go in any case.

    >>> in_child(lambda: 6 * 7, what="a product")
    42
    """
    with tempfile.TemporaryDirectory(prefix="rramsim-child-") as folder:
        reader, writer = os.pipe()
        lifeline, ours = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.close(ours)
            _work(act, writer, lifeline, folder)
        os.close(writer)
        os.close(lifeline)
        try:
            with os.fdopen(reader, "rb") as answers:
                answer = answers.read()
        finally:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            os.close(ours)
    if not answer:
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        raise MachineError(f"{what}: the process that simulated it died ({how})")
    value = pickle.loads(answer)
    if isinstance(value, Exception):
        raise value
    found: Value = value
    return found


def _work(act: Callable[[], object], writer: int, lifeline: int, folder: str) -> NoReturn:
    """The child's side."""
    # The parent hears the interrupt and kills; a traceback of the child's would be in its way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    tempfile.tempdir = folder
    gc.disable()  # its memory goes with it; and to look at the parent's would copy it
    try:
        answer: object = act()
    except (InputError, MachineError) as error:
        answer = error
    except Exception as error:
        answer = MachineError(f"{type(error).__name__}: {' '.join(str(error).split())}")
    with os.fdopen(writer, "wb") as answers:
        pickle.dump(answer, answers)
    os._exit(0)


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns once the parent's end is closed, however that came
    os._exit(1)
