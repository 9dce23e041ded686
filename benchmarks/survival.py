"""`rramsim run`, killed at random moments and resumed: are the results those of an undisturbed run?

    python -m benchmarks survival --kills 30 --out runs/survival

runs a small experiment on scikit-learn's digits once without a disturbance, then again and again,
each killed with SIGKILL (the whole process group, workers included) at moments drawn over the
length of the first one and resumed until it ends, and compares hashes of what each left: counts,
rates, networks, evaluations, trade-off, costs. Not compared: what tells of the run itself (seconds
of an epoch, dates, the figures' and the report's bytes) and the order of appended rows. It goes on
from what `--out` holds, and exits 1 if anything differs.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import xarray as xr

from rramsim.files import output_folder
from rramsim.learning import load_network

__all__ = ["fingerprints", "main"]

_EXPERIMENT = """
[sense]
vdd_v = [0.95, 1.1]
[errors]
max_step_s = "4n"
max_samples = 100
workers = 2
[network]
architecture = ["mlp", "vgg"]
width = 4
[training]
data = "digits"
epochs = 3
[test]
draws = 3
"""


def fingerprints(folder: Path) -> dict[str, str]:
    """A hash of each result in a finished folder that must not depend on interruptions."""
    found: dict[str, bytes] = {}
    for name in ("errors.json", "tradeoff.csv", "costs.csv"):
        found[name] = (folder / name).read_bytes()
    for name in ("senses.jsonl", "evaluations.jsonl"):
        rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        lines = sorted(json.dumps(row, sort_keys=True) for row in rows)
        found[name] = "\n".join(lines).encode()
    training = pd.read_csv(folder / "training.csv").drop(columns=["seconds"], errors="ignore")
    found["training.csv"] = training.to_csv().encode()
    with xr.open_dataset(folder / "sense.nc") as dataset:
        found["sense.nc"] = dataset.load().to_dataframe().to_csv().encode()
    for path in sorted((folder / "networks").glob("*.pt")):
        if not path.name.endswith(".checkpoint.pt"):
            spec, network = load_network(path)
            state = {k: v.numpy().tobytes() for k, v in network.state_dict().items()}
            found[f"networks/{path.name}"] = repr(spec).encode() + b"".join(
                key.encode() + value for key, value in sorted(state.items())
            )
    return {name: hashlib.sha256(value).hexdigest() for name, value in found.items()}


def _run(experiment: Path, out: Path, *, kill_after_s: float | None) -> tuple[bool, float, str]:
    """Whether the run came to its end, the seconds it took, and the newest file it left."""
    began = time.monotonic()
    with (out.parent / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rramsim", "run", str(experiment), "--out", str(out)],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            status = process.wait(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = -signal.SIGKILL
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"the run ended with {status}; see {out.parent / 'log.txt'}")
    files = [p for p in out.rglob("*") if p.is_file()] if out.is_dir() else []
    newest = max(files, key=lambda p: p.stat().st_mtime).name if files else "nothing yet"
    return status == 0, time.monotonic() - began, newest


def main(argv: list[str]) -> int:
    """Kill, resume, compare; print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks survival",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/survival"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    out = output_folder(options.out)
    experiment = out / "small.toml"
    experiment.write_text(_EXPERIMENT)
    plain = out / "undisturbed.json"
    if not plain.is_file():
        shutil.rmtree(out / "undisturbed", ignore_errors=True)
        _, seconds, _ = _run(experiment, out / "undisturbed", kill_after_s=None)
        value = {"seconds": seconds, "files": fingerprints(out / "undisturbed")}
        plain.write_text(json.dumps(value))
    reference = json.loads(plain.read_text())
    log, folder = out / "kills.jsonl", out / "disturbed"
    rng = random.Random(options.seed)
    differing: set[str] = set()
    finished = 0
    while True:
        rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        kills = [row["newest"] for row in rows if row["newest"] is not None]
        rng.seed(options.seed * 1000 + len(rows))
        last = len(kills) >= options.kills
        after = None if last else rng.uniform(1.0, 0.6 * reference["seconds"])
        ended, _, newest = _run(experiment, folder, kill_after_s=after)
        with log.open("a") as file:
            file.write(json.dumps({"newest": None if ended else newest}) + "\n")
        print(f"{len(kills)} kills; newest file: {newest}", file=sys.stderr, flush=True)
        if ended:
            finished += 1
            found = fingerprints(folder)
            differing |= {
                name
                for name in {*found, *reference["files"]}
                if found.get(name) != reference["files"].get(name)
            }
            shutil.rmtree(folder)
            if last:
                break
    value = {
        "kills": len(kills),
        "newest file at the kill": dict(Counter(kills).most_common()),
        "runs compared": finished,
        "results compared": len(reference["files"]),
        "differing": sorted(differing),
    }
    if options.json:
        print(json.dumps(value))
    else:
        for name, shown in value.items():
            print(f"{name:26} {shown}")
    return 1 if differing else 0
