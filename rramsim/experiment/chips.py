"""[chips]: virtual chips that hold the networks."""

from typing import Literal

from pydantic import Field

from rramsim.chips import ArrayShape, ChipModel, Verify
from rramsim.devices import Retention
from rramsim.experiment.values import Quantity, Section, Seed, setting

__all__ = ["ChipsSection"]


class ChipsSection(Section):
    """[chips]: virtual chips that hold the networks; its presence makes `rramsim run` test them.

    They are read at the first temperature, corner and window of [sense].
    """

    count: int = Field(default=100, ge=2, le=100_000)
    """Chips of each kind."""
    vdd_v: Quantity | None = None
    """Supply at which they are read, one of [sense]. Left out: its first."""
    columns: int = setting(ArrayShape, "columns")
    compare: list[Literal["iid", "own"]] = ["iid"]
    """Also test independent errors ("iid"), and an amplifier for each synapse ("own")."""
    read_noise_ln: Quantity = setting(ChipModel, "read_noise_ln")
    age_s: Quantity = 0.0
    """Time since programming."""
    relaxation_ln: Quantity = setting(Retention, "relaxation_ln")
    cell_share: tuple[Quantity, Quantity] = Field(default=(0.47, 0.60), strict=False)
    """With verify: part of ln R's variance that stays with a cell written again: LRS, HRS."""
    verify_lrs_max_ohm: Quantity | None = None
    """Write an LRS again until it is below this. Left out: no verify."""
    verify_hrs_min_ohm: Quantity | None = None
    """Write an HRS again until it is above this. Left out: no verify."""
    verify_max_writes: int = setting(Verify, "max_writes")
    surface_points: int = Field(default=1600, ge=350, le=1_000_000)
    """Pairs of resistances that the read surface is fitted to."""
    images: int = Field(default=0, ge=0)
    """Test images used; 0 for all."""
    seed: Seed = 0
    """Of the devices and amplifiers that are drawn."""

    def make_verify(self) -> Verify | None:
        """The limits that programming verifies against, if any is given."""
        low, high = self.verify_lrs_max_ohm, self.verify_hrs_min_ohm
        if low is None and high is None:
            return None
        # A limit that is left out is the other one.
        return Verify(
            lrs_max_ohm=high if low is None else low,  # type: ignore[arg-type]
            hrs_min_ohm=low if high is None else high,  # type: ignore[arg-type]
            max_writes=self.verify_max_writes,
        )
