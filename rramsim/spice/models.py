"""A `.model` with its values known."""

from dataclasses import dataclass, replace

from rramsim.spice.lines import Where

__all__ = ["BIN_KEYS", "ModelCard"]

BIN_KEYS = ("lmin", "lmax", "wmin", "wmax")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model's parameters, evaluated.

    `name` is the device's name without its bin's number, `bin_name` the name in the file;
    `values` holds (parameter, number as text) without the bin's limits; `limits_m` those limits as
    (lmin, lmax, wmin, wmax), or None for a card that is not binned; `where` it stands.
    """

    name: str
    bin_name: str
    kind: str
    values: tuple[tuple[str, str], ...]
    limits_m: tuple[float, float, float, float] | None = None
    where: Where | None = None

    def covers(self, width_m: float, length_m: float) -> bool:
        """Tell whether the card is valid for a geometry (ngspice's rule: min <= x < max)."""
        if self.limits_m is None:
            return True
        lmin, lmax, wmin, wmax = self.limits_m
        return lmin <= length_m < lmax and wmin <= width_m < wmax

    def parameter(self, name: str) -> float | None:
        """The value of a parameter, or None if the card does not set it."""
        text = dict(self.values).get(name.lower())
        return None if text is None or text.count(".") > 1 else float(text)

    def with_values(self, values: dict[str, str]) -> "ModelCard":
        """The card with some parameters set to other values, as texts."""
        return replace(self, values=tuple((dict(self.values) | values).items()))

    @property
    def body(self) -> str:
        """The parameters as SPICE text."""
        return " ".join(f"{name} = {text}" for name, text in self.values)

    def renamed(self, name: str) -> str:
        """The card as SPICE text under another name, so that it can be altered alone."""
        pairs = [f"{key} = {text}" for key, text in self.values]
        lines = [f".model {name} {self.kind}"]
        # ngspice's lines are bounded; eight parameters a line stay well below that.
        lines += ["+ " + " ".join(pairs[i : i + 8]) for i in range(0, len(pairs), 8)]
        return "\n".join(lines)
