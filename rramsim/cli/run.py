"""`rramsim run`: the stages of an experiment, from netlist to report."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramsim.cli.options import DataOption, JsonOption, OutOption, print_json, say
from rramsim.exceptions import InputError
from rramsim.imports import MissingPackageError

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.figures.chart import Table
    from rramsim.learning import ImageData
    from rramsim.stages import RunFolder, Stage

_HELP = """Simulate, count, train, test and report: every stage, or those of --stage.

What the output folder already holds is not done again: a run that was interrupted goes on.

\b
{stages}

* these only with --stage

Example: rramsim run experiments/demo.toml --out runs/demo
"""


def run(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT.toml", help="The experiment file.")
    ],
    out: OutOption,
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", metavar="NAME", help="Only this stage; may be repeated."),
    ] = None,
    stop_after: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Stop after this time (90s, 9m, 2h), as what is done by then is kept.",
        ),
    ] = None,
    data: DataOption = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="tcp://HOST:PORT",
            help="Work on the workers of this dask scheduler instead of this machine's cores.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again senses that an earlier run gave up.")
    ] = False,
    allow_module: Annotated[
        bool,
        typer.Option(
            "--allow-module", help="Run the Python that [network] module of this file names."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """See `_HELP`."""
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, chosen_stages, stage_named

    for name in stage or ():
        stage_named(name)
    seconds = None if stop_after is None else _seconds(stop_after)
    chosen = load_experiment(experiment).with_scheduler(scheduler)
    if allow_module:
        chosen = chosen.with_module_allowed()
    from rramsim.cli.progress import notice

    try:
        stages = chosen_stages(chosen, stage or (), skipped=notice)
    except MissingPackageError:
        raise  # no fault of the file
    except InputError as error:
        raise InputError(f"{experiment}: {error}") from error
    folder = RunFolder.create(out)
    finished = show_stages(
        chosen, folder, stages, data=data, retry_failed=retry_failed, stop_after_s=seconds
    )
    if json:
        print_json({"out": str(out), "finished": finished, "stages": _told(stages, folder)})
        return
    if not finished:
        say(f"stopped after {stop_after}; the same command goes on from what was done")
        return
    _print(stages, folder)


def show_stages(
    experiment: "Experiment",
    folder: "RunFolder",
    stages: "tuple[Stage, ...]",
    *,
    data: Path | None,
    retry_failed: bool = False,
    stop_after_s: float | None = None,
) -> bool:
    """Do stages with their progress on standard error; returns whether all were finished."""
    from rramsim.cli.progress import notice, progress_bar
    from rramsim.durable import Stopped
    from rramsim.stages import choose_data, run_stages

    def images() -> "ImageData":
        from rramsim.cli.progress import console

        found = choose_data(experiment.training.data, path=data)
        file = f", {found.source['file']}" if "file" in found.source else ""
        console.print(
            f"data: {found.label} ({len(found.train_labels)} training, {len(found.test_labels)} "
            f"test images{file})",
            soft_wrap=True,
        )
        return found

    @contextmanager
    def progress(stage: "Stage") -> Iterator[Callable[[float, int, str], None]]:
        with progress_bar(stage.name, unit=stage.unit) as update:
            yield update

    try:
        run_stages(
            experiment,
            folder,
            stages,
            images=images,
            progress=progress,
            notice=notice,
            retry_failed=retry_failed,
            stop_after_s=stop_after_s,
        )
    except Stopped:
        return False
    return True


def _told(stages: "tuple[Stage, ...]", folder: "RunFolder") -> dict[str, Any]:
    """What every file of the stages holds, or where it is."""
    from rramsim.stages.folder import Rows

    return {
        stage.name: {
            file.name: file.told(folder)
            for file in stage.files
            if not isinstance(file, Rows) and file.path(folder).is_file()
        }
        for stage in stages
    }


def print_summary(parts: "Sequence[Table | str]") -> None:
    """Lines as they are, tables as the report has them."""
    from rich.console import Console
    from rich.table import Table as Shown

    console = Console(width=max(Console().width, 150), highlight=False)
    for part in parts:
        if isinstance(part, str):
            say(part)
            continue
        shown = Shown(title=part.title, title_justify="left")
        for index, name in enumerate(part.header):
            shown.add_column(name, justify="right" if index in part.numeric else "left")
        for row in part.rows:
            shown.add_row(*row)
        console.print(shown)


def _print(stages: "tuple[Stage, ...]", folder: "RunFolder") -> None:
    """What a terminal shows at the end: each stage's summary, its files, and where to go on."""
    from rramsim.stages.folder import Rows

    for stage in stages:
        print_summary(stage.summary(folder))
    files = [
        str(file.path(folder))
        for stage in stages
        for file in stage.files
        if not isinstance(file, Rows) and file.path(folder).is_file()
    ]
    say(f"wrote {', '.join(files)}")
    then = f"rramsim report {folder.path}"
    if any(stage.name == "report" for stage in stages):
        then = f"rramsim explore {folder.path}"
        if any(stage.name == "tradeoff" for stage in stages):
            then += f", or rramsim tradeoff {folder.path} --max-loss 0.5"
    say(f"next: {then}")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|m|min|h)?", text.strip())
    if found is None or not float(found[1]):
        raise InputError(f"--stop-after {text}: must be a time such as 90s, 9m or 2h")
    return float(found[1]) * {"m": 60.0, "min": 60.0, "h": 3600.0}.get(found[2] or "s", 1.0)


def help_text() -> str:
    """What the command's help says, with a line for each stage."""
    from rramsim.stages import STAGES

    width = max(len(stage.name) for stage in STAGES)
    lines = (
        f"{' ' if stage.of_run else '*'} {stage.name:{width}}  {stage.answers}" for stage in STAGES
    )
    return _HELP.format(stages="\n".join(lines))
