"""A training step recorded once as a CUDA graph and replayed: a GPU then does not wait for Python.

At width 16 a step is some two hundred short kernels, and launching them one by one takes longer
than running them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rramsim.networks import quantised_layers

__all__ = ["GraphedStep", "Step"]

_WARM_UP = 3
"""Steps taken before the recording, so that every library has chosen its algorithms."""


@contextmanager
def _fastest_algorithms() -> Iterator[None]:
    """Let cuDNN time its algorithms for each new size, and keep to the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class GraphedStep:
    """Takes the steps of one training, by the graph where the batch has the recorded size.

    `step` takes (images, labels), both on the device, and returns tensors; it must not wait for
    the device. Weights, the optimiser's state and the errors' generators stay where they are, so
    replayed steps and plain ones may follow each other; the learning rate must be a tensor.
    """

    def __init__(self, step: Step, network: nn.Module) -> None:
        self._step = step
        self._network = network
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, Tensor] | None = None
        self._outputs: tuple[Tensor, Tensor] | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step; return what `step` returns, as tensors of their own."""
        if self._inputs is not None and images.shape != self._inputs[0].shape:
            return self._step(images, labels)  # the short last batch of an epoch
        if self._taken < _WARM_UP:
            self._taken += 1
            return self._beside(images, labels)
        if self._graph is None:
            self._record(images, labels)
        assert self._graph is not None and self._inputs is not None and self._outputs is not None
        self._inputs[0].copy_(images)
        self._inputs[1].copy_(labels)
        self._graph.replay()
        return self._outputs[0].clone(), self._outputs[1].clone()

    def _beside(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take a plain step on a stream of its own, as a recording demands of those before it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), _fastest_algorithms():
            result = self._step(images, labels)
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _record(self, images: Tensor, labels: Tensor) -> None:
        graph = torch.cuda.CUDAGraph()
        for layer in quantised_layers(self._network).values():
            if layer.draws_errors:
                graph.register_generator_state(layer.error_generator())
        self._inputs = (images.clone(), labels.clone())
        with torch.cuda.graph(graph), _fastest_algorithms():
            self._outputs = self._step(*self._inputs)
        self._graph = graph
