"""Bad input by the thousand: does every reader refuse it cleanly, or read it?

    python -m benchmarks fuzz --examples 10000 --out runs/fuzz

takes a valid file for each reader, spoils it at random (bytes, lines, numbers, types, nesting,
paths that lead outside, commands, payloads), and reads it in a worker that may use 1 GB beyond what
it starts with and 5 s for each file, and in which starting a program, connecting, or writing
outside the worker's folder is caught. Clean is an `InputError` or `MachineError`, or a result.
Prints how each reader fared and keeps what was not clean in `--out`; exits 1 if anything was not.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from rramsim.exceptions import InputError, MachineError
from rramsim.files import output_folder
from rramsim.processes.process import netlists_folder

__all__ = ["READERS", "main", "spoiled"]

_LIMIT_S, _LIMIT_BYTES = 5, 2**30
_ROOT = Path(__file__).parent.parent
_SMALL = """
[sense]
vdd_v = [1.0, 1.2]
[errors]
engine = "batch"
max_samples = 100
certify_samples = 10
workers = 1
[network]
architecture = "mlp"
weights = "ternary"
width = 8
[training]
data = "digits"
epochs = 1
[test]
draws = 2
"""
_TOKENS = [
    *(b"nan inf -1 0 1e999 1e-999 9999999999999999999 true null -0.0 0x10 1_000 k MEG".split(b" ")),
    *(b'" [ ] { } = , {{x}} ../../../etc/passwd /etc/passwd `reboot` $(reboot)'.split(b" ")),
    b"", b" ", b"\n", b"\x00", b"\xff", "Ω±∞".encode(), b"[" * 3000, b"(" * 3000, b"9" * 5000,
    b"x" * 100_000, b".control\nshell touch owned\n.endc\n", b'.include "/etc/passwd"\n',
    b"cos\nsystem\n(S'touch owned'\ntR.",
]  # fmt: skip


def spoiled(valid: bytes, rng: random.Random) -> bytes:
    """A copy with one to four faults."""
    data = bytearray(valid)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 8, 64)))
        lines = bytes(data).split(b"\n")
        match rng.randrange(9):
            case 0:
                data[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.choice(_TOKENS)
            case 3:
                data[at:end] = rng.choice(_TOKENS)
            case 4:
                data[at:at] = data[at : at + rng.choice((10, 1000))]
            case 5:
                del lines[rng.randrange(len(lines))]
                data = bytearray(b"\n".join(lines))
            case 6:
                rng.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case _:
                # A word becomes another one: numbers and names meet what they do not expect.
                k = rng.randrange(len(lines))
                words = lines[k].replace(b"=", b" = ").replace(b",", b" , ").split(b" ")
                words[rng.randrange(len(words))] = rng.choice(_TOKENS)
                lines[k] = b" ".join(words)
                data = bytearray(b"\n".join(lines))
        if not data:
            data = bytearray(b" ")
    return bytes(data)


def _netlist(path: Path) -> object:
    from rramsim.circuits import sense_circuit
    from rramsim.processes import load_process

    return sense_circuit(process=load_process("sky130-5v"), netlist=path)


def _cards(path: Path) -> object:
    from rramsim.processes import read_cards

    return read_cards(path)


def _process(path: Path) -> object:
    from rramsim.processes import load_process_folder

    folder = path.parent / "process"
    folder.mkdir(exist_ok=True)
    for corner in ("tt", "ss", "ff", "sf", "fs"):
        shipped = netlists_folder() / "processes" / "sky130-5v" / f"{corner}.spice"
        (folder / f"{corner}.spice").write_bytes(shipped.read_bytes())
    (folder / "process.toml").write_bytes(path.read_bytes())
    return load_process_folder(folder)


def _measurements(path: Path) -> object:
    from rramsim.devices import read_measurements

    return read_measurements(path)


def _experiment(path: Path) -> object:
    from rramsim.experiment import load_experiment

    return load_experiment(path)


def _model_file(path: Path) -> object:
    from rramsim.devices import load_model_file

    return load_model_file(path)


def _network(path: Path) -> object:
    from rramsim.learning import load_network

    return load_network(path)


def _contents(path: Path) -> object:
    from rramsim.chips import ArrayContents

    return ArrayContents.load(path)


def _images(path: Path) -> object:
    from rramsim.learning import load_images

    return load_images("cifar10", path=path)


def _folder_file(name: str) -> Callable[[Path], object]:
    """A report of a folder in which this file is spoiled."""

    def read(path: Path) -> object:
        from rramsim.stages import RunFolder, write_report

        folder = path.parent / "folder"
        if not folder.is_dir():
            folder.mkdir()
            for file in (_SEEDS / "run").iterdir():
                if file.is_file() and file.suffix not in (".png", ".svg", ".html"):
                    (folder / file.name).write_bytes(file.read_bytes())
        whole = (_SEEDS / "run" / name).read_bytes()
        try:
            (folder / name).write_bytes(path.read_bytes())
            return write_report(RunFolder(path=folder))
        finally:
            (folder / name).write_bytes(whole)

    return read


def _verified(path: Path) -> object:
    """The checks of a folder whose list of files is spoiled, without doing anything again."""
    from unittest.mock import patch

    from rramsim.learning import load_images
    from rramsim.stages import RunFolder, verify_folder

    folder = path.parent / "listed"
    if not folder.is_dir():
        folder.mkdir()
        (folder / "experiment.json").write_bytes((_SEEDS / "run" / "experiment.json").read_bytes())
    (folder / "provenance.json").write_bytes(path.read_bytes())
    with patch("rramsim.stages.STAGES", []):
        return verify_folder(RunFolder(path=folder), data=lambda _: load_images("digits"))


_SEEDS = Path()
_RESULTS = (
    "errors.json",
    "tradeoff.csv",
    "costs.csv",
    "training.csv",
    "sense.nc",
    "experiment.json",
    "provenance.json",
)
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "netlist": ("pcsa.spice", _netlist),
    "model cards": ("tt.spice", _cards),
    "process.toml": ("process.toml", _process),
    "measurements, csv": ("measured.csv", _measurements),
    "measurements, gzip": ("measured.csv.gz", _measurements),
    "measurements, parquet": ("measured.parquet", _measurements),
    "experiment": ("small.toml", _experiment),
    "device model": ("model.json", _model_file),
    "network": ("network.pt", _network),
    "array contents, npz": ("contents.npz", _contents),
    "array contents, csv": ("contents.csv", _contents),
    "images": ("cifar10.tar.gz", _images),
    "verify": ("run/provenance.json", _verified),
    **{f"report: {name}": (f"run/{name}", _folder_file(name)) for name in _RESULTS},
}
"""For each reader a valid file's name among the seeds, and what reads a path."""


def make_seeds(folder: Path) -> None:
    """Valid files for every reader."""
    import gzip
    import io
    import tarfile

    import pandas as pd
    from PIL import Image

    from rramsim.chips import ArrayContents, ArrayShape
    from rramsim.devices import fit_devices, fit_record, read_measurements, write_model_file
    from rramsim.learning import NetworkSpec, save_network
    from rramsim.networks import written_weights

    processes = netlists_folder() / "processes" / "sky130-5v"
    (folder / "pcsa.spice").write_bytes((netlists_folder() / "pcsa.spice").read_bytes())
    (folder / "tt.spice").write_bytes((processes / "tt.spice").read_bytes())
    (folder / "process.toml").write_bytes((processes / "process.toml").read_bytes())
    (folder / "small.toml").write_text(_SMALL)
    lines = (_ROOT / "measurements" / "example_made.csv").read_text().splitlines(keepends=True)
    (folder / "measured.csv").write_text("".join(lines[:400]))
    (folder / "measured.csv.gz").write_bytes(gzip.compress((folder / "measured.csv").read_bytes()))
    pd.read_csv(folder / "measured.csv", comment="#").to_parquet(folder / "measured.parquet")
    measured = read_measurements(folder / "measured.csv")
    write_model_file(folder / "model.json", fit_record(measured, fit_devices(measured)))
    spec = NetworkSpec(
        architecture="mlp", weights="ternary", activations="ternary", width=8, input_shape=(1, 8, 8)
    )
    network = spec.build(seed=0)
    save_network(folder / "network.pt", spec, network)
    contents = ArrayContents.of(written_weights(network), array=ArrayShape(rows=32, columns=32))
    contents.save_npz(folder / "contents.npz")
    contents.save_csv(folder / "contents.csv")
    pictures = {}
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            for k in range(3):
                buffer = io.BytesIO()
                pixels = np.full((32, 32, 3), 40 * k, dtype=np.uint8)
                Image.fromarray(pixels).save(buffer, format="JPEG")
                pictures[f"{part}/{label}/{k}.jpg"] = buffer.getvalue()
    with tarfile.open(folder / "cifar10.tar.gz", "w:gz") as tar:
        for name, data in pictures.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    command = [sys.executable, "-m", "rramsim", "run", str(folder / "small.toml")]
    subprocess.run([*command, "--out", str(folder / "run")], check=True, capture_output=True)


class _Hang(BaseException):
    """The time for one file is over."""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise _Hang


def _worker(reader: str, first: int, last: int, seed: int, seeds: Path) -> int:
    """Read spoiled files; one JSON line each on standard output."""
    global _SEEDS
    _SEEDS = seeds
    name, read = READERS[reader]
    valid = (seeds / name).read_bytes()
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["RRAMSIM_CACHE"] = f"{folder}/cache"
        path = Path(folder) / Path(name).name
        # Whatever is loaded at the first use is not the file's doing.
        path.write_bytes(valid)
        read(path)
        signal.signal(signal.SIGALRM, _alarm)
        resting = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        seen: list[str] = []
        sys.addaudithook(lambda event, args: _audit(event, args, folder, seen))
        for number in range(first, last):
            path.write_bytes(spoiled(valid, random.Random(f"{seed} {reader} {number}")))
            seen.clear()
            signal.alarm(_LIMIT_S)
            outcome, detail = _outcome(read, path)
            signal.alarm(0)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resting
            if seen:
                outcome, detail = "forbidden", seen[0]
            elif grown > _LIMIT_BYTES:
                outcome, detail = "memory", f"{grown / 1e6:.0f} MB"
            print(json.dumps([number, outcome, detail]), file=out, flush=True)
            if outcome == "memory":
                return 3
    return 0


def _outcome(read: Callable[[Path], object], path: Path) -> tuple[str, str]:
    try:
        read(path)
    except (InputError, MachineError):  # which the program says on one line
        return "refused", ""
    except _Hang:
        return "hang", ""
    except Exception:
        return "traceback", traceback.format_exc()
    return "read", ""


def _audit(event: str, args: tuple[Any, ...], folder: str, seen: list[str]) -> None:
    if event == "subprocess.Popen" and args[0] == "/sbin/ldconfig":
        return  # how ctypes finds ngspice's library
    if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect"):
        seen.append(f"{event} {args!r:.200}")
    elif event == "open" and isinstance(args[0], str) and args[1] and set(args[1]) & set("wax+"):
        place, elsewhere = os.path.realpath(args[0]), f"{tempfile.gettempdir()}/tmp"
        if not place.startswith((os.path.realpath(folder), "/dev/", elsewhere)):
            seen.append(f"open {args[0]} {args[1]}")


def main(argv: list[str]) -> int:
    """Spoil, read, count."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--examples", type=int, default=10_000, help="over all readers")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    seeds = options.out.resolve() / "seeds"
    if options.worker:
        reader, first, last = options.worker
        return _worker(reader, int(first), int(last), options.seed, seeds)
    output_folder(seeds)
    if not (seeds / "run" / "report.html").is_file():
        make_seeds(seeds)
    each = -(-options.examples // len(options.readers))
    table: dict[str, dict[str, int]] = {}
    faults = []
    for reader in options.readers:
        counts: Counter[str] = Counter()
        number = 0
        while number < each:
            command = [
                sys.executable,
                "-m",
                "benchmarks",
                "fuzz",
                "--out",
                str(options.out.resolve()),
            ]
            command += ["--seed", str(options.seed), "--worker", reader, str(number), str(each)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT)
            rows = [json.loads(line) for line in done.stdout.splitlines()]
            for at, outcome, detail in rows:
                counts[outcome] += 1
                if outcome not in ("refused", "read"):
                    faults.append(
                        {"reader": reader, "number": at, "outcome": outcome, "detail": detail}
                    )
            number = rows[-1][0] + 1 if rows else number
            if done.returncode not in (0, 3):
                counts["crash"] += 1
                detail = done.stderr[-2000:]
                faults.append(
                    {"reader": reader, "number": number, "outcome": "crash", "detail": detail}
                )
                number += 1
        table[reader] = dict(counts)
        print(f"{reader}: {dict(counts)}", file=sys.stderr, flush=True)
    (options.out / "faults.json").write_text(json.dumps(faults, indent=1))
    total = Counter[str]()
    for row in table.values():
        total.update(row)
    value = {"examples": sum(total.values()), "all": dict(total), "readers": table}
    if options.json:
        print(json.dumps(value))
    else:
        print(f"{value['examples']} files: {dict(total)}; not clean: {options.out}/faults.json")
    return 1 if faults else 0
