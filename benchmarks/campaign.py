"""`python -m benchmarks campaign`: what a campaign adds to plain ngspice, and what it survives.

Speed: the same senses by one and two plain ngspice processes and by campaigns of one and two
workers, interleaved in one run, with the share of a worker's time between its senses (draws,
tallies, messages, rows synced to disk) and its growth in memory.

Survival (`--survive STAGE`, one stage at a time, into `--out`): 20,000 senses with 1, 2 and 4
workers; killed with SIGKILL at 20 random moments and resumed; through a dask scheduler with two
workers of which one is killed midway. `--survive compare` compares their counts.

It is the campaign that is tried here, so the reads are fast ones: short precharge, coarse steps,
and for survival level-1 transistors, which ngspice solves three times as fast as the foundry's.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from rramsim.circuits import Column, SenseCircuit, SenseConditions, sense_circuit
from rramsim.counting import (
    CHUNK_SAMPLES,
    CampaignProgress,
    SenseTask,
    StopRule,
    run_campaign,
    sense_chunk,
)
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.durable import Runner
from rramsim.engines import NgspiceEngine, SenseOutcome, SenseSamples
from rramsim.processes import MismatchCoefficient, Process, load_process, process_from_cards

STAGES = ("workers1", "workers2", "workers4", "killed", "dask", "compare")


@dataclass(frozen=True, kw_only=True)
class TimedEngine(NgspiceEngine):
    """ngspice that notes when it sensed, for whom: a line of (process, begin, end) each."""

    log: str = ""

    def sense(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        samples: SenseSamples,
        *,
        waveforms: bool = False,
    ) -> SenseOutcome:
        """Sense, and note it."""
        begin = time.monotonic()
        outcome = super().sense(circuit, conditions, samples, waveforms=waveforms)
        end = time.monotonic()
        if self.log:
            memory = Path("/proc/self/statm").read_text().split()[1]
            with Path(self.log).open("a") as file:
                file.write(f"{os.getpid()} {begin} {end} {memory}\n")
        return outcome


_LEVEL_1 = """.model n nmos level=1 vto=0.6 kp=60u gamma=0.5 phi=0.7 lambda=0.05 tox=11.6n
.model p pmos level=1 vto=-0.7 kp=20u gamma=0.5 phi=0.7 lambda=0.05 tox=11.6n
"""


def level_1_process(folder: Path) -> Process:
    """Textbook transistors with a threshold that varies by 10 mV um."""
    cards = folder / "level1.spice"
    cards.write_text(_LEVEL_1)
    mismatch = MismatchCoefficient(model="n", parameter="vto", kind="absolute", slope_um=0.01)
    return process_from_cards((cards,), nmos="n", pmos="p", mismatch=(mismatch,))


def make_tasks(process: Process, log: Path | None = None) -> tuple[SenseTask, ...]:
    """Written 0 and +1 at 1.2 V."""
    return tuple(
        SenseTask(
            circuit=sense_circuit(process=process, column=Column(precharge_s=60e-9)),
            conditions=SenseConditions(vdd_v=1.2),
            resistances=ResistanceModel(
                lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22),
                hrs=LogNormal(median_ohm=370e3, sigma_ln=1.0),
            ),
            written=written,
            seed=20,
            engine=TimedEngine(
                max_step_s=10e-9, reltol=1e-3, trtol=7.0, log=str(log) if log else ""
            ),
        )
        for written in (0, 1)
    )


def main(argv: list[str]) -> int:
    """Measure, print a table or one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks campaign")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--senses", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--survive", choices=STAGES)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/campaign"))
    # What the benchmark runs as processes of their own:
    parser.add_argument("--plain", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--campaign", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.plain:
        return plain(*chosen.plain)
    if chosen.campaign:
        return campaign(chosen.out, senses=chosen.senses, workers=chosen.campaign)
    if chosen.survive:
        value = survive(chosen.survive, chosen.out, chosen.senses or 20_000, chosen.kills)
    else:
        value = speed(senses=chosen.senses or 1600, rounds=chosen.rounds)
    if chosen.json:
        print(json.dumps(value))
    else:
        for name, shown in value.items():
            print(f"{name:44} {shown}")
    return 0 if value.get("identical", True) else 1


def plain(first: int, chunks: int) -> int:
    """Sense chunks in this process, as a loop without a campaign would."""
    task = make_tasks(load_process("sky130-5v"))[0]
    for chunk in range(first, first + chunks):
        sense_chunk(task, chunk)
    return 0


def campaign(rows: Path, *, senses: int, workers: int) -> int:
    """Run the survival campaign to its end."""
    run_campaign(
        make_tasks(level_1_process(rows.parent)),
        rows_path=rows,
        stop=stop_after(senses),
        runner=Runner(workers=workers),
    )
    return 0


def stop_after(senses: int) -> StopRule:
    """A rule that the number of senses of both tasks together decides alone."""
    return StopRule(relative_error=1e-9, max_samples=senses // 2)


def command(*arguments: str) -> list[str]:
    """This benchmark as a process of its own."""
    return [sys.executable, "-m", "benchmarks", "campaign", *arguments]


def speed(*, senses: int, rounds: int) -> dict[str, Any]:
    """Interleave plain processes and campaigns; medians over the rounds."""
    chunks = senses // CHUNK_SAMPLES
    times: dict[str, list[float]] = {name: [] for name in ("p1", "p2", "c1", "c2")}
    between: list[float] = []
    growth: list[float] = []
    for _ in range(rounds):
        for name in times:
            number = int(name[1])
            begin = time.monotonic()
            if name[0] == "p":
                share = chunks // number
                processes = [
                    subprocess.Popen(command("--plain", str(i * share), str(share)))
                    for i in range(number)
                ]
                if any(process.wait() for process in processes):
                    raise RuntimeError("a plain process failed")
            else:
                with tempfile.TemporaryDirectory() as folder:
                    log = Path(folder, "log")
                    run_campaign(
                        make_tasks(load_process("sky130-5v"), log)[:1],
                        rows_path=Path(folder, "rows"),
                        stop=StopRule(relative_error=1e-9, max_samples=senses),
                        runner=Runner(workers=number),
                    )
                    shares, grown = read_log(log)
                    between += shares
                    growth += grown
            times[name].append(time.monotonic() - begin)
    ratios = [
        (c1 / c2) / (p1 / p2)
        for p1, p2, c1, c2 in zip(times["p1"], times["p2"], times["c1"], times["c2"], strict=True)
    ]
    plain_gain = median(times["p1"]) / median(times["p2"])
    gain = median(times["c1"]) / median(times["c2"])
    return {
        "senses": senses,
        "rounds": rounds,
        "one plain ngspice process (s)": round(median(times["p1"]), 2),
        "two plain ngspice processes (s)": round(median(times["p2"]), 2),
        "campaign, one worker (s)": round(median(times["c1"]), 2),
        "campaign, two workers (s)": round(median(times["c2"]), 2),
        "speed-up of two plain processes": round(plain_gain, 3),
        "speed-up of two workers": round(gain, 3),
        "share of the plain speed-up (wanted 0.85)": round(gain / plain_gain, 3),
        "the same, each round": [round(ratio, 3) for ratio in ratios],
        "bookkeeping, share of a worker's time": round(median(between), 4),
        "growth of a worker's memory (MB)": round(max(growth), 2),
    }


def read_log(log: Path) -> tuple[list[float], list[float]]:
    """Each worker's share of time between senses, and its growth after its first chunk (MB)."""
    rows = np.loadtxt(log, ndmin=2)
    shares, grown = [], []
    for process in np.unique(rows[:, 0]):
        _, begin, end, pages = rows[rows[:, 0] == process].T
        if len(begin) > 1:
            shares.append(float((begin[1:] - end[:-1]).sum() / (end[-1] - end[0])))
            page = os.sysconf("SC_PAGE_SIZE")
            grown.append(float((pages[-1] - pages[0]) * page / 1e6))
    return shares, grown


def survive(stage: str, out: Path, senses: int, kills: int) -> dict[str, Any]:
    """Run one stage of the survival campaign, or compare what the stages counted."""
    out.mkdir(parents=True, exist_ok=True)
    rows = out / f"{stage}-{senses}.jsonl"
    begin = time.monotonic()
    value: dict[str, Any] = {"stage": stage, "senses": senses}
    if stage == "compare":
        return value | compare(out, senses)
    if stage == "killed":
        value["killed at rows"] = kill_and_resume(rows, senses, kills)
    elif stage == "dask":
        value["dask worker killed at senses"] = through_dask(rows, senses, out)
    else:
        campaign(rows, senses=senses, workers=int(stage.removeprefix("workers")))
    return value | {"seconds": round(time.monotonic() - begin, 1)}


def kill_and_resume(rows: Path, senses: int, kills: int) -> list[int]:
    """Kill a campaign at random moments of its work; returns the rows that were there then."""
    rng = np.random.default_rng(kills)
    chunks = senses // CHUNK_SAMPLES
    moments = np.sort(rng.uniform(0, chunks * 0.98, kills))
    seen = []
    for number, moment in enumerate(moments):
        workers = (1, 2, 4)[number % 3]
        process = subprocess.Popen(
            command("--out", str(rows), "--senses", str(senses), "--campaign", str(workers))
        )
        while count_rows(rows) < moment and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(count_rows(rows))
    campaign(rows, senses=senses, workers=2)
    return seen


def count_rows(rows: Path) -> int:
    """Rows in the file so far."""
    return rows.read_bytes().count(b"\n") if rows.exists() else 0


def through_dask(rows: Path, senses: int, out: Path) -> int:
    """Run through a scheduler and two workers on the loopback; one is killed midway."""
    file = out / "scheduler.json"
    file.unlink(missing_ok=True)
    dask = [sys.executable, "-m", "dask"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    quiet["env"] = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [
        subprocess.Popen(
            [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
             "--scheduler-file", str(file)],
            **quiet,
        )
    ]  # fmt: skip
    killed_at = 0

    def report(progress: CampaignProgress) -> None:
        nonlocal killed_at
        if not killed_at and progress.counted >= senses // 2:
            killed_at = progress.counted
            processes[1].send_signal(signal.SIGKILL)

    try:
        processes += [
            subprocess.Popen(
                [*dask, "worker", "--scheduler-file", str(file), "--host", "127.0.0.1",
                 "--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(out)],
                **quiet,
            )
            for _ in range(2)
        ]  # fmt: skip
        while not (file.exists() and file.read_text().strip()):
            time.sleep(0.1)
        run_campaign(
            make_tasks(level_1_process(out)),
            rows_path=rows,
            stop=stop_after(senses),
            runner=Runner(scheduler=json.loads(file.read_text())["address"]),
            report=report,
        )
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return killed_at


def compare(out: Path, senses: int) -> dict[str, Any]:
    """Fold the rows of every stage that was run; identical if every tally is, to the last bit."""
    counts: dict[str, Any] = {}
    tallies = []
    for stage in STAGES[:-1]:
        rows = out / f"{stage}-{senses}.jsonl"
        if rows.exists():
            tasks = make_tasks(level_1_process(out))
            result = run_campaign(tasks, rows_path=rows, stop=stop_after(senses))
            tallies.append([tally.to_value() for tally in result.values()])
            counts[stage] = [tally.count.tolist() for tally in result.values()]
    return counts | {"identical": all(each == tallies[0] for each in tallies)}
