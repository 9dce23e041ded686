"""[network], [training] and [test]: which networks, how they learn, how they are tested."""

from typing import Literal

from pydantic import Field

from rramsim.experiment.values import ListOf, Quantity, Section

__all__ = ["NetworkSection", "TestSection", "TrainingSection"]


class NetworkSection(Section):
    """[network]: every list is an axis."""

    architecture: ListOf[Literal["vgg", "mlp"]] = ["vgg"]
    width: ListOf[int] = [8]
    weights: ListOf[Literal["binary", "ternary"]] = ["binary", "ternary"]
    activations: ListOf[Literal["same", "full", "binary", "ternary"]] = ["same"]


class TrainingSection(Section):
    """[training]: `errors_vdd_v` trains with the errors read at that supply injected.

    `min_steps` raises `epochs` on a small data set until that many batches have been seen.
    """

    rule: Literal["backprop", "ep", "holomorphic-ep", "ternary-ep"] = "backprop"
    data: Literal["auto", "cifar10", "digits"] = "auto"
    epochs: int = 10
    min_steps: int = Field(default=0, ge=0, le=10_000_000)
    batch: int | None = None
    learning_rate: Quantity | None = None
    seed: int = 0
    bfloat16: bool | None = None
    device: str = "cpu"
    errors_vdd_v: ListOf[Quantity | Literal["none"]] = ["none"]


class TestSection(Section):
    """[test]: draws of the read errors at each point, and test images used (0 for all)."""

    draws: int = Field(default=3, ge=1, le=1000)
    images: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
