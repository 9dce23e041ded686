"""[device]: the statistics of the resistances."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from rramsim.devices import (
    DEFAULT_HRS,
    DEFAULT_LRS,
    PROGRAMMING_DATA,
    REFERENCE_C,
    LogNormal,
    ResistanceModel,
    Retention,
    programmed_resistances,
)
from rramsim.exceptions import InputError
from rramsim.experiment.values import Quantity, Section, setting


class DeviceSection(Section):
    """[device]: where the resistances' statistics come from.

    Log-normal by medians and standard deviations; or a `model` file; or `measurements`; or the
    programming voltages `set_word_line_v` and `reset_source_line_v`. With the last three, a median
    given too replaces theirs and keeps the shape.
    """

    model: str | None = None
    """A file of 'rramsim devices fit', in place of medians and deviations."""
    measurements: str | None = None
    """A table of measured resistances, fitted when the experiment is read."""
    kind: Literal["best", "lognormal", "skewed", "empirical"] | None = None
    """The fitted family; goes with model or measurements. Left out: best."""
    condition: str | None = None
    """Which programming condition of the measurements."""
    drop: bool = False
    """Whether rows that cannot be used are left out of the measurements."""
    map: dict[str, str] = {}
    """Their columns and states, such as { resistance_ohm = "R (kOhm)", LRS = "ON" }."""
    set_word_line_v: Quantity | None = None
    """Word-line voltage of the SET pulse, in place of medians; with reset_source_line_v."""
    reset_source_line_v: Quantity | None = None
    """Source-line voltage of the RESET pulse."""
    pulse_s: Quantity | None = Field(
        default=None,
        description="Length of the pulses. Left out: "
        f"{PROGRAMMING_DATA.pulse_s:g}, the one that was measured.",
    )
    lrs_median_ohm: Quantity | None = setting(
        LogNormal, "median_ohm", default=None, examples=[DEFAULT_LRS.median_ohm],
        description="Median of the low-resistance state.",
    )  # fmt: skip
    lrs_sigma_ln: Quantity | None = setting(
        LogNormal, "sigma_ln", default=None, examples=[DEFAULT_LRS.sigma_ln],
        description="SD of ln R of the low-resistance state; log-normal.",
    )  # fmt: skip
    hrs_median_ohm: Quantity | None = setting(
        LogNormal, "median_ohm", default=None, examples=[DEFAULT_HRS.median_ohm],
        description="Median of the high-resistance state.",
    )  # fmt: skip
    hrs_sigma_ln: Quantity | None = setting(
        LogNormal, "sigma_ln", default=None, examples=[DEFAULT_HRS.sigma_ln],
        description="SD of ln R of the high-resistance state; log-normal.",
    )  # fmt: skip
    age_s: Quantity | None = None
    """Time since programming, over which both states relax. Left out: fresh."""
    age_temperature_c: Quantity | None = Field(
        default=None, description=f"Temperature over that time. Left out: {REFERENCE_C:g}."
    )
    relaxation_ln: Quantity | None = setting(
        Retention, "relaxation_ln", default=None, examples=[Retention.relaxation_ln]
    )

    def make(self, folder: Path) -> ResistanceModel:
        """The resistance model; relative paths start at `folder`."""
        fresh = self._fresh(folder)
        if self.age_s is None:
            for key in ("age_temperature_c", "relaxation_ln"):
                if getattr(self, key) is not None:
                    raise InputError(f"[device] {key} = {getattr(self, key):g}: goes with age_s")
            return fresh
        relaxation_ln, temperature_c = self.relaxation_ln, self.age_temperature_c
        retention = Retention() if relaxation_ln is None else Retention(relaxation_ln=relaxation_ln)
        temperature_c = REFERENCE_C if temperature_c is None else temperature_c
        lrs, hrs = (
            retention.aged_marginal(state, age_s=self.age_s, temperature_c=temperature_c)
            for state in (fresh.lrs, fresh.hrs)
        )
        return ResistanceModel(lrs=lrs, hrs=hrs)

    def _fresh(self, folder: Path) -> ResistanceModel:
        programmed = self.set_word_line_v is not None or self.reset_source_line_v is not None
        sources = [name for name in ("model", "measurements") if getattr(self, name) is not None]
        sources += ["set_word_line_v, reset_source_line_v"] if programmed else []
        if len(sources) > 1:
            raise InputError(f"[device]: give one of {' and '.join(sources)}, not both")
        self._check_keys(sources[0] if sources else None)
        if not sources:
            return ResistanceModel.lognormal(
                lrs_median_ohm=self.lrs_median_ohm,
                lrs_sigma_ln=self.lrs_sigma_ln,
                hrs_median_ohm=self.hrs_median_ohm,
                hrs_sigma_ln=self.hrs_sigma_ln,
            )
        kind = self.kind or "best"
        if self.model is not None:
            from rramsim.devices import load_model_file  # heavy: loaded where it is needed

            found = load_model_file(folder / self.model, kind=kind).resistances
        elif self.measurements is not None:
            path = folder / self.measurements
            found = _fitted(
                path, _stamp(path), kind, self.condition, self.drop, tuple(self.map.items())
            )
        else:
            if self.set_word_line_v is None or self.reset_source_line_v is None:
                raise InputError("[device]: give both set_word_line_v and reset_source_line_v")
            found = programmed_resistances(
                set_word_line_v=self.set_word_line_v,
                reset_source_line_v=self.reset_source_line_v,
                pulse_s=PROGRAMMING_DATA.pulse_s if self.pulse_s is None else self.pulse_s,
            )
        return ResistanceModel(
            lrs=found.lrs if self.lrs_median_ohm is None else found.lrs.scaled(self.lrs_median_ohm),
            hrs=found.hrs if self.hrs_median_ohm is None else found.hrs.scaled(self.hrs_median_ohm),
        )

    def _check_keys(self, source: str | None) -> None:
        """Refuse keys that would do nothing."""
        goes_with = {
            "kind": ("model", "measurements"),
            "condition": ("measurements",),
            "drop": ("measurements",),
            "map": ("measurements",),
            "pulse_s": ("set_word_line_v, reset_source_line_v",),
            "lrs_sigma_ln": (None,),
            "hrs_sigma_ln": (None,),
        }
        for key, owners in goes_with.items():
            # A key's default is to leave it out: any other value was given (a run's experiment.json
            # lists every key, those left out too).
            given = getattr(self, key) not in (None, False, {})
            if given and source not in owners:
                raise InputError(
                    f"[device] {key} = {getattr(self, key)!r}: goes with "
                    f"{' or '.join(str(o) for o in owners if o) or 'medians only'}"
                    + (f", not with {source}" if source else "")
                )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot read measurements ({error.strerror})") from error
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _fitted(
    path: Path,
    stamp: tuple[int, int],
    kind: str,
    condition: str | None,
    drop: bool,
    mapping: tuple[tuple[str, str], ...],
) -> ResistanceModel:
    """Fit measurements once for each state of the file (`stamp`)."""
    from rramsim.devices import fit_devices, read_measurements  # heavy: loaded where it is needed

    del stamp
    measured = read_measurements(path, condition=condition, drop=drop, mapping=dict(mapping))
    return fit_devices(measured).statistics(kind).resistances
