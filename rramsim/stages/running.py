"""Run stages over a folder: locked, resumed, with provenance."""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from rramsim.exceptions import InputError
from rramsim.files import folder_lock
from rramsim.imports import require_package
from rramsim.stages.folder import RunFolder
from rramsim.stages.provenance import refuse_changed, refuse_newer, write_provenance
from rramsim.stages.stage import Progress, Stage, Work

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.learning import ImageData


def chosen_stages(
    experiment: "Experiment", names: Iterable[str] = (), *, skipped: Callable[[str], None]
) -> tuple[Stage, ...]:
    """The stages of these names, or those of a whole run, in their order.

    `skipped` is told, in a line each, which stages of a whole run this experiment cannot have.
    Raises `InputError` for an unknown name, for a named stage that the experiment cannot have, and
    for a package that is not installed.
    """
    from rramsim.stages import STAGES, stage_named

    named = [stage_named(name) for name in names]
    for stage in named:
        if why := stage.lacks(experiment):
            raise InputError(f"--stage {stage.name}: {why}")
    whole = [] if named else [stage for stage in STAGES if stage.of_run]
    lacking = {stage.name: why for stage in whole if (why := stage.lacks(experiment))}
    found = tuple(s for s in STAGES if s in (named or whole) and s.name not in lacking)
    _require_packages(found)
    for name, why in lacking.items():
        skipped(f"{name}: not done: {why}")
    return found


def _require_packages(stages: Iterable[Stage]) -> None:
    """Raise `MissingPackageError`, before any work, where stages lack the networks' package."""
    for stage in stages:
        if stage.images:  # images are for networks
            require_package("torch", f"stage {stage.name}")


def _quietly(stage: Stage) -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total, note: None)


def run_stages(
    experiment: "Experiment",
    folder: RunFolder,
    stages: Iterable[Stage | str],
    *,
    images: "Callable[[], ImageData] | None" = None,
    progress: Callable[[Stage], AbstractContextManager[Progress]] = _quietly,
    notice: Callable[[str], None] = lambda text: None,
    retry_failed: bool = False,
    stop_after_s: float | None = None,
) -> dict[str, Any]:
    """Do stages (or those of these names) in a folder, and return what each gave, by its name.

    `images` loads the images when a stage first needs them (left out: those of the experiment);
    `progress` opens what a stage reports to. What the folder holds is not done again.

    Raises `InputError` if another run is writing in the folder, a newer rramsim wrote it, what a
    stage needs was changed since it was made or a package is not installed, and `Stopped` once
    `stop_after_s` are over.
    """
    from rramsim.figures import save_figure
    from rramsim.stages import stage_named

    until = math.inf if stop_after_s is None else time.monotonic() + stop_after_s
    loaded = cache(images or _images_of(experiment))
    kept: dict[str, Any] = {}
    chosen = [stage_named(stage) if isinstance(stage, str) else stage for stage in stages]
    _require_packages(chosen)
    if any(stage.images for stage in chosen):
        experiment.require_module_allowed()
        data = loaded()  # images that are not there are refused before any other work
        if experiment.network.module is not None:  # so is a module that is none
            for spec in experiment.make_own_networks(data.input_shape, len(data.classes)):
                spec.build(seed=0)
    with folder_lock(folder.path):
        refuse_newer(folder)
        for stage in chosen:
            for file in stage.needs:
                file.need(folder)
            refuse_changed(folder, stage.needs)
            if stage.name != "report":
                folder.save_experiment(experiment)
            with progress(stage) as report:
                work = Work(
                    experiment=experiment,
                    folder=folder,
                    images=loaded,
                    report=report,
                    notice=notice,
                    retry_failed=retry_failed,
                    kept=kept,
                    stop_at_s=until,
                )
                kept[stage.name] = stage.run(work)
                for name, figure in stage.draw(folder).items():
                    save_figure(figure, folder.path, name)
            if stage.made:
                used = loaded() if stage.images else None
                write_provenance(folder, experiment, made=stage.files, needs=stage.needs, data=used)
    return kept


def _images_of(experiment: "Experiment") -> "Callable[[], ImageData]":
    def load() -> "ImageData":
        from rramsim.stages.folder import choose_data

        return choose_data(experiment.training.data, path=None)

    return load
