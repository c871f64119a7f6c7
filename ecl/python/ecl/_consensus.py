"""Consensus: one rank's part in a training run, over an array of floats."""

import atexit
import ctypes
import warnings
from typing import Any, Dict, List, Optional, Union

import numpy as np

from ecl._library import Error, init, lib, must

FIGURES = ("steps", "rounds", "bytes_sent", "messages_sent", "messages_taken", "messages_overwritten",
           "messages_refused", "exchange_seconds", "staleness_p50", "staleness_p99")

_open: List["Consensus"] = []  # what libecl works on stays until it is closed


class Consensus:
    """This rank's model, trained together with the other ranks'.

        x = np.zeros(d, np.float32)
        consensus = ecl.Consensus(x, topology="ring", lr=0.1)
        for ...:
            consensus.begin()                    # takes what the neighbours sent, which may move x
            consensus.step(gradient(x))          # of this rank's own data; moves x, sends
        error = consensus.settle()               # until all ranks agree

    Making one, settle, average, load and close are collective: all ranks call them, in the same order. So is under adam
    (except with solvers dpsgd, fedavg and local) the last of the first measure_steps steps: all ranks make it before
    any calls another of these.
    """

    def __init__(self, x: np.ndarray, *, topology: str = "ring", solver: str = "ecl", mode: str = "async",
                 lr: Optional[float] = None, local_steps: int = 1, exchanges: Union[int, str] = "usual",
                 optimizer: str = "sgd", weight_decay: float = 0, clip_norm: float = 0, progress: str = "calls",
                 comm: Any = None, **options: Any) -> None:
        """
        x:           float32, C-contiguous, of any shape: this rank's model, first values alike on all ranks (checked);
                     worked on in place, until close() or the end of the program
        topology:    the graph, as "ring", "torus", "random_regular:4"
        solver:      the algorithm, with its parameters, as "ecl:theta=0.5", "dpsgd"
        mode:        "async": nobody waits; "lock-step": each round needs the neighbours' messages of the one before
        lr:          learning rate, 0.05, or 0.001 under adam; start with the largest, as it sets how firmly the edges
                     couple. Solver ecl's momentum is an average of gradients, and its nodes together go 2 theta lr a
                     step, theta = 1; momentum= of others is PyTorch's: lr / (1 - momentum) in the long run
        local_steps: K, steps of a round
        exchanges:   R, exchanges after each round; "usual": the solver's own number; "auto", "auto:PERCENT": as many,
                     from 2 to 16, as the links carry in PERCENT (25) of the time of the round's steps
        optimizer:   "sgd", "adam", "adamw", as "adam:beta2=0.99,eps=1e-6", of the gradient with the neighbours'
                     corrections, so that all ranks come to rest at the same optimum. Under adam, except with
                     solvers dpsgd, fedavg and local, which have none, the first measure_steps=16 calls of step() leave
                     x as it is: ecl sees how large gradients are, and at the last of these calls waits for all ranks,
                     which agree on it
        weight_decay: lambda of lambda/2 |x|^2, part of each rank's loss; under "adamw" decoupled from the gradient
        clip_norm:   longest gradient (L2 norm), with the neighbours' corrections; 0: any
        comm:        a communicator of mpi4py; without it all ranks
        progress:    "thread": within gradients that take long a thread moves messages and answers faster neighbours;
                     "calls": exchange() does, where it is called
        options:     any other option of ecl.h: measure_steps, momentum, total_steps, schedule, patience, overlap,
                     settle, settle_s, consensus_error, exchange, seed, same
        """
        _require_floats(x, "x")
        options = {"topology": topology, "solver": solver, "mode": mode, "local_steps": local_steps,
                   "exchanges": exchanges, "optimizer": optimizer, "weight_decay": weight_decay, "clip_norm": clip_norm,
                   "progress": progress, "consensus_error": 0.01, **options}
        if lr is not None:
            options["lr"] = lr
        texts = [f"{key}={_text(value)}".encode() for key, value in options.items()]
        init()
        self._x = x
        self.consensus_error = float(options["consensus_error"])
        self._node = ctypes.c_void_p()
        self._agreed = True  # the ranks' models, or what has become of them is saved
        handle = -1 if comm is None else comm.py2f()
        alone = (lib.ecl_size() if comm is None else comm.Get_size()) == 1
        self._may_differ = alone or solver.startswith("local")  # as the user wants
        must(lib.ecl_open(handle, (ctypes.c_char_p * (len(texts) + 1))(*texts), _floats(x), x.size,
                          ctypes.byref(self._node)))
        if not _open:
            atexit.unregister(_warn_at_exit)
            atexit.register(_warn_at_exit)  # goes before init()'s, which waits for the others
        _open.append(self)
        self._lr = self._figure("lr")

    @property
    def x(self) -> np.ndarray:
        """The array that it was made with."""
        return self._x

    @x.setter
    def x(self, value: np.ndarray) -> None:
        if value is not self._x:  # which it is after x *= 0.9
            raise TypeError("x is worked on in place and stays the array that the Consensus was made with; write into "
                            "it: x[...] = values")

    @property
    def lr(self) -> float:
        """The learning rate of the next step; set it to change it. With schedule= the rate before the schedule."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        must(lib.ecl_set_lr(self._handle(), value))
        self._lr = float(value)

    def begin(self) -> None:
        """Before a gradient is taken: x is then where it is wanted. In lock step this waits for the neighbours."""
        must(lib.ecl_begin(self._handle()))

    def step(self, gradient: np.ndarray) -> None:
        """One step along minus `gradient`: float32, of x's shape, or one of the two flat. Raises Diverged, and makes no
        step, if it holds an infinity or a NaN."""
        gradient = np.ascontiguousarray(gradient, np.float32)
        if gradient.size != self.x.size:
            raise ValueError(f"the gradient has {gradient.size} values, x has {self.x.size}")
        if gradient.shape != self.x.shape and 1 not in (gradient.ndim, self.x.ndim):
            raise ValueError(f"the gradient is of shape {gradient.shape}, x of {self.x.shape}; give one of x's shape, "
                             "or a flat one")
        must(lib.ecl_step(self._handle(), gradient.ctypes.data))
        self._agreed = False

    def exchange(self) -> None:
        """Now and then within a long gradient: moves messages, and answers faster neighbours. Leaves x alone. With
        progress="thread" there is no need to."""
        must(lib.ecl_exchange(self._handle()))

    def settle(self) -> float:
        """The end of this rank's steps, wherever the others are: waits for them, and answers those that still train;
        then all exchange without gradients until they agree. Returns the consensus error, the root mean square over
        the ranks of |x - mean| / |mean|; warns where it is above consensus_error."""
        error = ctypes.c_double()
        must(lib.ecl_settle(self._handle(), ctypes.byref(error)))
        self._agreed = True
        if not error.value <= self.consensus_error:
            warnings.warn(f"the ranks' models differ by {error.value:.2g} of their norm (consensus_error="
                          f"{self.consensus_error:g}): settle for longer (settle=, settle_s=), or end with a smaller "
                          "learning rate", stacklevel=2)
        return error.value

    def average(self, values: Optional[np.ndarray] = None) -> None:
        """`values` (float32, C-contiguous, as many on all ranks; x without it) become their means over the ranks, in
        place. Waits for all ranks, which call it equally often before they settle."""
        values = self.x if values is None else values
        _require_floats(values, "values")
        must(lib.ecl_average(self._handle(), _floats(values), values.size))
        self._agreed |= values is self.x

    def save(self) -> bytes:
        """x and all else that load() needs to go on from here. In lock step all ranks save after the same step, and it
        does what the next begin() would: waits for the neighbours, and moves x."""
        state, size = ctypes.c_void_p(), ctypes.c_size_t()
        must(lib.ecl_save(self._handle(), ctypes.byref(state), ctypes.byref(size)))
        self._agreed = True
        return (ctypes.c_char * size.value).from_address(state.value).raw  # string_at() takes 2 GiB at most

    def load(self, state: bytes) -> None:
        """What save() returned, into a Consensus made alike that has made no step yet. In lock step the run then goes
        on bit for bit; asynchronously messages that were on their way are lost, which does no harm."""
        must(lib.ecl_load(self._handle(), state, len(state)))
        self._lr = self._figure("lr")

    def figures(self) -> Dict[str, float]:
        """Of this rank so far: steps, rounds, bytes and messages sent, how old messages were (in own steps), ..."""
        return {name: self._figure(name) for name in FIGURES}

    def close(self) -> None:
        """Waits until all ranks close theirs. The end of the program does it, too. Both warn of steps after which
        nobody called settle(), average() or save(): the ranks' models then differ."""
        if self in _open:
            must(lib.ecl_close(self._handle()))
            _open.remove(self)
            self._node = None
            self._warn_unless_agreed(stacklevel=3)
        self._node = None

    def _warn_unless_agreed(self, stacklevel: int) -> None:
        if not self._agreed and not self._may_differ:
            warnings.warn("this Consensus ends without settle() after its last step: each rank's model is its own, and "
                          "the others' differ", stacklevel=stacklevel)

    def _figure(self, name: str) -> float:
        value = ctypes.c_double()
        must(lib.ecl_figure(self._handle(), name.encode(), ctypes.byref(value)))
        return value.value

    def _handle(self) -> ctypes.c_void_p:
        if self._node is None:
            raise Error("this Consensus is closed; make another one to train on")
        return self._node


def _warn_at_exit() -> None:
    for consensus in _open:
        consensus._warn_unless_agreed(stacklevel=2)


def _floats(values: np.ndarray) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _require_floats(value: Any, name: str) -> None:
    if not isinstance(value, np.ndarray):
        kind = f"a {type(value).__name__}"
    elif value.dtype == np.float32 and value.flags.c_contiguous and value.flags.writeable:
        return
    else:
        layout = "C-contiguous" if value.flags.c_contiguous else "not C-contiguous"
        kind = f"{value.dtype}, {layout}, {'writable' if value.flags.writeable else 'read-only'}"
    raise TypeError(f"{name}: a writable C-contiguous numpy array of float32 is needed, which is worked on in place; "
                    f"this is {kind}")
