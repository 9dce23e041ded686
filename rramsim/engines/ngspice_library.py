"""ngspice's shared library through PySpice, with its traps closed.

* One OpenMP thread: its loops over nine transistors cost more than they give (a 13 ms run took up
  to 7.8 s on a busy machine). ngspice asks for two by itself and leaves that setting to PyTorch; so
  it is told to ask for one, which is set for each run and set back. OMP_THREAD_LIMIT=1 while the
  library loads will not do: OpenMP reads it once, for the whole process, and a training later in
  this process then waits forever for a second thread.
* ngspice writes notes to standard error; PySpice takes them for failures (PySpice issue 399) and
  misses failures written elsewhere. Here a message is judged by what it says.
* The library is one per process, and so is this session.
* BSIM4 writes check files into the working directory: runs happen in a temporary one.
* As it starts, ngspice obeys a `.spiceinit` of the working directory, shell commands included, or
  else of the home folder, and crashes for a user whom the system does not know (a container with
  any user id). So it starts in the temporary one, too, where an empty `.spiceinit` ends the search.
* It also obeys a `spinit` in a folder that SPICE_SCRIPTS or SPICE_LIB_DIR names. Every SPICE_*
  variable is taken away while it starts, and it looks for scripts where there are none.
"""

import ctypes
import ctypes.util
import itertools
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

from rramsim.exceptions import InputError, MachineError
from rramsim.spice import Circuit, ModelCard, Names

INSTALL_HINT = (
    "ngspice's shared library was not found; install it with one of: "
    "apt install libngspice0 | dnf install libngspice | brew install libngspice | "
    "conda install -c conda-forge ngspice-lib (or set NGSPICE_LIBRARY_PATH to the file)"
)

_HARMLESS = re.compile(r"^\s*(note|warning|using|doing analysis|no\. of|reference value)\b", re.I)
_FAULT = re.compile(
    r"\berror\b|aborted|too small|singular|fatal|no such|not found|unknown|can't|cannot|failed|"
    r"unable|undefined|illegal|bad ",
    re.I,
)

_UNRECOGNISED = re.compile(r"unrecognized parameter \((\S+)\)")
_GAVE_UP = "fatal error: ngspice gave up"


class CircuitError(RuntimeError):
    """ngspice refused a circuit or a command; the message holds its own words."""


class UnknownParameter(CircuitError):
    """A card sets what its model does not know, and ngspice would go on without it."""

    def __init__(self, model: str, parameter: str) -> None:
        super().__init__(f"model {model} has no parameter {parameter}")
        self.model, self.parameter = model, parameter


@dataclass(frozen=True, kw_only=True)
class _Library:
    """The attached library: PySpice's handle, what ngspice said, how to read and to release it."""

    shared: Any
    messages: list[str]
    vector: Callable[[str], NDArray[np.float64]]
    detach: Callable[[], None]


class NgspiceSession:
    """Commands to the loaded library, with their faults told from their notes.

    A netlist that ngspice gives up on leaves the library unusable until it is detached: the session
    then attaches it anew, without a circuit, and `generation` counts how often.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rramsim-ngspice-")
        (Path(self._folder.name) / ".spiceinit").touch()
        self._has_circuit = False
        self.generation = 0
        self._library = self._attached()
        self.version = int(self._library.shared.ngspice_version)

    def load(self, deck: str) -> None:
        """Load a circuit in place of the one before; raises `CircuitError`."""
        if self._has_circuit:
            # Without remcirc each load leaves its circuit behind (PySpice issue 246).
            self.command("remcirc")
        self._library.messages.clear()
        self._has_circuit = True
        self._guarded(lambda: self._library.shared.load_circuit(deck), "the circuit")
        self._check("the circuit")
        for before, said in itertools.pairwise(self._library.messages):
            if (found := _UNRECOGNISED.search(said)) and before.startswith(".model"):
                raise UnknownParameter(before.split()[1], found[1])

    def command(self, text: str) -> None:
        """Run one command; raises `CircuitError` if ngspice reports a fault."""
        self._library.messages.clear()
        what = f"'{text[:60]}'"
        self._guarded(lambda: self._library.shared.exec_command(text), what)
        self._check(what)

    def run(self) -> list[str]:
        """Run the loaded analysis; returns the faults it reported (empty if it went through).

        Raises `CircuitError` if ngspice gave up altogether; the circuit must then be loaded again.
        """
        self._library.messages.clear()
        with _one_thread():
            self._guarded(lambda: self._library.shared.exec_command("run"), "the run")
        return self.faults()

    def vector(self, name: str) -> NDArray[np.float64]:
        """A copy of a vector of the current plot; empty if there is none."""
        return self._library.vector(name)

    def listing(self) -> dict[str, str]:
        """The loaded circuit as ngspice expanded it, each line by its first word."""
        self.command("listing expand")
        lines = [text.split(" : ", 1)[-1].strip() for text in self._library.messages]
        return {line.split()[0]: line for line in lines if line}

    def discard_results(self) -> None:
        """Free every plot; without it memory grows by the size of each run."""
        self._library.shared.exec_command("destroy all")

    def faults(self) -> list[str]:
        """What ngspice said since the last command that is not a note."""
        return [m for m in self._library.messages if _FAULT.search(m) and not _HARMLESS.match(m)]

    def _attached(self) -> _Library:
        """Load the library where nobody else's `.spiceinit` lies."""
        path = _library_path()
        with chdir(self._folder.name):
            return _attach(path, scripts=self._folder.name)

    def _guarded(self, act: Callable[[], object], what: str) -> None:
        """Act in the session's own folder; mend the session if ngspice gives up."""
        try:
            with chdir(self._folder.name):
                act()
        except NameError as error:  # PySpice's word for any non-zero return code
            said = [m.strip() for m in self._library.messages if _FAULT.search(m)]
            if any(_GAVE_UP in m for m in self._library.messages):
                self._library.detach()
                self._library = self._attached()
                self._has_circuit = False
                self.generation += 1
            reason = said[0] if said else str(error)
            raise CircuitError(f"ngspice refused {what}: {reason}") from error

    def _check(self, what: str) -> None:
        faults = self.faults()
        if faults:
            raise CircuitError(f"ngspice refused {what}: {faults[0].strip()}")


@cache
def ngspice_session() -> NgspiceSession:
    """Load the library; the one session of this process.

    Raises `InputError` with the packages' names if ngspice is not installed.
    """
    return NgspiceSession()


def ngspice_version() -> int:
    """The major version of the library, 39 for ngspice 39.3."""
    return ngspice_session().version


def _library_path() -> str:
    path = os.environ.get("NGSPICE_LIBRARY_PATH") or ctypes.util.find_library("ngspice")
    if not path:
        raise InputError(INSTALL_HINT)
    # A bare name is looked up by the loader; a path must hold from another working directory.
    return str(Path(path).absolute()) if os.sep in path else path


def _attach(path: str, *, scripts: str) -> _Library:
    """Load the library with no start-up script of anybody's.

    Raises `InputError` if the library is not there.
    """
    wanted: dict[str, str | None] = {
        "NGSPICE_LIBRARY_PATH": path,
        **{name: None for name in os.environ if name.startswith("SPICE_")},
        "SPICE_SCRIPTS": scripts,
    }
    before = {name: os.environ.get(name) for name in wanted}
    _set_environment(wanted)
    try:
        return _load()
    except (OSError, AttributeError) as error:
        if named := before["NGSPICE_LIBRARY_PATH"]:
            reason = str(error).partition(" Additionally")[0]
            raise InputError(
                f"NGSPICE_LIBRARY_PATH = {named}: not ngspice's shared library ({reason}); name "
                f"libngspice.so.0, or leave it out. {INSTALL_HINT}"
            ) from error
        raise InputError(f"{INSTALL_HINT} ({error})") from error
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    """Set each variable, or remove it where its value is None."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give OpenMP one thread for the time of a run."""
    openmp = _openmp()
    if openmp is None:
        yield
        return
    threads = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(1)
    try:
        yield
    finally:
        openmp.omp_set_num_threads(threads)


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP runtime that ngspice uses: GNU's, loaded once whoever asked for it first."""
    try:
        return ctypes.CDLL("libgomp.so.1")
    except OSError:
        return None


def _load() -> _Library:
    # PySpice logs every line that ngspice writes to standard error as an error of its own.
    logging.getLogger("PySpice").setLevel(logging.CRITICAL)
    from PySpice.Spice.NgSpice import Shared as pyspice

    # A fresh interface each time: PySpice declares ngspice's types whenever it attaches.
    ffi = pyspice.ffi = FFI()
    to_text = pyspice.ffi_string_utf8
    messages: list[str] = []

    class Session(pyspice.NgSpiceShared):
        @staticmethod
        def _send_char(message_c: Any, ngspice_id: Any, user_data: Any) -> int:
            owner = ffi.from_handle(user_data)
            _, _, content = to_text(message_c).partition(" ")
            # PySpice parses the version from here; faults are judged by NgspiceSession.
            owner._stdout.append(content)
            messages.append(content)
            return 0

        @staticmethod
        def _exit(status: Any, unload: Any, quit_: Any, ngspice_id: Any, user_data: Any) -> int:
            messages.append(f"{_GAVE_UP} with status {status}")
            return int(status)

    pyspice.NgSpiceShared.setup_platform()
    # ngspice's library sets the locale and prints through the callbacks above only.
    shared = Session()
    library = shared._ngspice_shared

    def vector(name: str) -> NDArray[np.float64]:
        info = library.ngGet_Vec_Info(name.encode())
        if info == ffi.NULL or info.v_length == 0 or info.v_realdata == ffi.NULL:
            return np.empty(0)
        data = ffi.buffer(info.v_realdata, info.v_length * 8)
        return np.frombuffer(data, dtype=np.float64).copy()

    if not shared.ngspice_version:
        raise MachineError("ngspice's library loaded but told no version")
    # Else each new circuit sets OpenMP to two threads, whatever it was set to.
    shared.exec_command("set num_threads=1")
    return _Library(
        shared=shared, messages=messages, vector=vector, detach=lambda: ffi.dlclose(library)
    )


def explained(error: CircuitError, circuit: str, elements: Circuit, names: Names) -> InputError:
    """The refusal of a deck that was written with `names`."""
    if isinstance(error, UnknownParameter):
        for element in elements.elements:
            if element.card and names.cards[element.name] == error.model:
                return unknown_parameter(element.card, error.parameter)
    return InputError(f"{circuit}: {names.translated(str(error))}")


def unknown_parameter(card: ModelCard, parameter: str) -> InputError:
    """A parameter that ngspice's model does not know."""
    return InputError(f"{card.where}: card {card.bin_name} has no parameter {parameter}")
