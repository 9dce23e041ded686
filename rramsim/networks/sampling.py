"""Which of many weights are in error: independent draws at a cost that grows with the errors."""

import math

import torch
from torch import Tensor

__all__ = ["bernoulli_positions"]

_DENSE_ABOVE = 0.1
"""Above this rate one uniform number a weight is cheaper than the gaps between errors."""


def bernoulli_positions(count: int, rate: float, *, generator: torch.Generator) -> Tensor:
    """Draw the positions, of `count`, at which independent events of probability `rate` fall.

    Returns ascending distinct positions, int64, on the generator's device. At low rates the gaps
    between events are drawn (they are geometric), so the cost is that of the events alone: at 1e-4
    ten thousand times fewer random numbers than one for each weight. The distribution is exactly
    that of independent draws in either case.

    >>> bernoulli_positions(4, 1.0, generator=torch.Generator().manual_seed(0)).tolist()
    [0, 1, 2, 3]
    >>> bernoulli_positions(10**6, 0.0, generator=torch.Generator().manual_seed(0)).tolist()
    []
    """
    device = generator.device
    if rate <= 0.0 or count == 0:
        return torch.empty(0, dtype=torch.int64, device=device)
    if rate >= 1.0:
        return torch.arange(count, device=device)
    if rate > _DENSE_ABOVE:
        drawn = torch.rand(count, generator=generator, device=device)
        return torch.nonzero(drawn < rate).flatten()
    pieces: list[Tensor] = []
    last = -1
    log_survival = math.log1p(-rate)
    # Six deviations more than expected: a second pass is almost never needed, but is exact.
    expected = count * rate
    batch = math.ceil(expected + 6.0 * math.sqrt(expected) + 8.0)
    while last < count:
        # 1 - U lies in (0, 1], so its logarithm is finite.
        uniform = torch.rand(batch, generator=generator, device=device, dtype=torch.float64)
        gaps = torch.floor(torch.log1p(-uniform) / log_survival) + 1.0
        # A gap beyond the end is as good as the end, and keeps the sum within int64.
        positions = torch.cumsum(gaps.clamp_(max=float(count) + 1.0).to(torch.int64), dim=0) + last
        last = int(positions[-1])
        pieces.append(positions)
    positions = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
    return positions[: int(torch.searchsorted(positions, count))]
