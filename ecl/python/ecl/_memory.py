"""Where the parameters of a PyTorch model lie, and where ecl works on them: in one memory on the CPU, not on a GPU."""

import contextlib
import time
from typing import Any, Callable, Iterator, List

import numpy as np
import torch


class Memory:
    """On the CPU: ecl works on the very array that the parameters are views of.

    flat, gradient: tensors of all values in a row, for the parameters and their gradients to be views of
    x:              the values as ecl's array
    """

    def __init__(self, parameters: List[torch.nn.Parameter]) -> None:
        self.parameters = parameters
        self.allocate(sum(p.numel() for p in parameters), parameters[0].device)
        self.gradient = torch.zeros_like(self.flat)
        for p, view, gradient in zip(parameters, self.views(self.flat), self.views(self.gradient)):
            view.copy_(p.detach())
            p.data, p.grad = view, gradient
        self._stamps = [p.detach().view(-1)[:0] for p in parameters]  # share the parameters' versions

    def allocate(self, count: int, device: torch.device) -> None:
        """x owns what flat shows: PyTorch may give flat other memory, as share_memory() does, and free its own."""
        room = np.empty(count + 15, np.float32)
        first = -room.ctypes.data % 64 // room.itemsize
        self.x = room[first:first + count]
        self.flat = torch.from_numpy(self.x)

    def views(self, flat: torch.Tensor) -> List[torch.Tensor]:
        parts = flat.split([p.numel() for p in self.parameters])
        return [part.view(p.shape) for part, p in zip(parts, self.parameters)]

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Around whatever lets ecl read or write x. Where that moves the parameters PyTorch is told, so that backward()
        refuses what a forward pass has kept of them; where x stays, as without neighbours, all is as it was."""
        some = self.x[::self.x.size // 4096 | 1]
        before = some.copy()
        try:
            yield
        finally:
            if not np.array_equal(some, before):
                for stamp in self._stamps:
                    stamp.zero_()

    def gradient_array(self, meanwhile: Callable[[], Any]) -> np.ndarray:
        """The gradients, once they are computed; until then it calls `meanwhile`."""
        return self.gradient.numpy()


class StagedMemory(Memory):
    """On a GPU: x and its gradient have a page-locked buffer each on the host, and a copy of each goes over in a step.

    All copies are queued on the stream of the model's own work, so they are in order with it, and the program waits for
    the gradients' alone, moving messages meanwhile. Gradients go over when step() asks for them and not as backward()
    makes them, since they may be clipped or unscaled in between.
    """

    def __init__(self, parameters: List[torch.nn.Parameter]) -> None:
        super().__init__(parameters)
        self._x.copy_(self.flat)
        self._versions = self._versions_now()

    def allocate(self, count: int, device: torch.device) -> None:
        self.flat = torch.empty(count, dtype=torch.float32, device=device)
        on_gpu = self.flat.is_cuda
        self._x = torch.empty(count, dtype=torch.float32, pin_memory=on_gpu)
        self._g = torch.empty_like(self._x, pin_memory=on_gpu)
        self._done = [torch.cuda.Event()] if on_gpu else []
        self.x = self._x.numpy()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        self._wait()
        if self._versions_now() != self._versions:  # by the caller: load_state_dict(), clamp_(), ...
            self._x.copy_(self.flat)
        try:
            with super().changing():
                yield
        finally:
            self._copy(self.flat, self._x)
            self._versions = self._versions_now()

    def gradient_array(self, meanwhile: Callable[[], Any]) -> np.ndarray:
        self._copy(self._g, self.gradient)
        self._wait(meanwhile)
        return self._g.numpy()

    def _versions_now(self) -> List[int]:
        return [p._version for p in self.parameters]

    def _copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        target.copy_(source, non_blocking=True)
        for event in self._done:
            event.record(torch.cuda.current_stream(self.flat.device))

    def _wait(self, meanwhile: Callable[[], Any] = lambda: None) -> None:
        """For the last copy. Nothing is to be read or written on the host before."""
        while not all(event.query() for event in self._done):
            meanwhile()
            time.sleep(1e-4)


def memory_of(parameters: List[torch.nn.Parameter]) -> Memory:
    return (StagedMemory if parameters[0].is_cuda else Memory)(parameters)
