"""Consensus as a torch.optim.Optimizer over the parameters of a module."""

import threading
import warnings
import zlib
from typing import Any, Callable, Dict, List, Optional, Tuple

try:
    import torch
except ImportError as error:
    raise ImportError("ecl.torch needs PyTorch: apt install python3-torch, or pip install torch") from error

import ecl._consensus
from ecl._memory import memory_of


class Consensus(torch.optim.Optimizer):
    """This rank's module, trained together with the other ranks': put it where torch.optim.SGD stands.

        optimizer = ecl.torch.Consensus(model, lr=0.1, topology="ring")
        for x, y in loader:                   # this rank's own data
            optimizer.zero_grad()             # takes what the neighbours sent, which may move the parameters
            criterion(model(x), y).backward()
            optimizer.step()                  # moves the parameters, sends
        optimizer.settle()                    # until all ranks agree

    The parameters become views of one flat array, their gradients of another: float32, on the CPU or on one CUDA
    device. ecl works, and exchanges, on the host.
    Learning rate schedulers work: the lr of param_groups[0] is read at every step. A rate of 0, as a warm-up has it at
    its start, is taken for a millionth of the first.
    Making one, settle, average, load_state_dict and close are collective, and under adam (except with
    solvers dpsgd, fedavg and local) also the last of the first 16 steps, which all ranks make before any other of
    these: all ranks call them, in the same order.
    """

    def __init__(self, model: torch.nn.Module, *, lr: Optional[float] = None, optimizer: str = "sgd",
                 betas: Optional[Tuple[Optional[float], float]] = None, eps: Optional[float] = None,
                 buffers: str = "refuse", **options: Any) -> None:
        """
        model:   its parameters that require a gradient are trained; first values alike on all ranks (checked). Frozen
                 ones stay as they are
        lr:      learning rate, 0.05, or 0.001 under adam; give the largest. Solver ecl's momentum is an average, and
                 its nodes together go 2 theta lr a step, theta = 1: as far as SGD(lr=0.1, momentum=0.9) goes it goes
                 with lr=0.5
        optimizer, betas, eps: "sgd"; "adam" or "adamw", with the numbers of torch.optim.Adam, (0.9, 0.999) and 1e-8 if
                 not given. Solver ecl has a momentum of its own (solver="ecl:beta=0.95"): betas=(None, 0.999) there.
                 The first 16 steps measure gradients, and leave the parameters as they are, except with solvers dpsgd,
                 fedavg and local (ecl.Consensus)
        buffers: of floats, that a forward pass changes, as running means and spectral_norm's vectors: "refuse" them
                 (normalisation layers' here; others at the first step, if they have changed by then and are part of the
                 state_dict), or "mean": each rank's own until settle(), which averages buffers of floats, in float32
        options: those of ecl.Consensus: topology, solver, mode, local_steps, exchanges, weight_decay, clip_norm, comm,
                 momentum, measure_steps, progress, ...
        """
        if not isinstance(model, torch.nn.Module):
            raise ecl.Error(f"Consensus takes the model itself, a torch.nn.Module, not a {type(model).__name__}: "
                            "ecl.torch.Consensus(model, lr=...); all its parameters have one learning rate")
        if not isinstance(optimizer, str):
            raise ecl.Error("optimizer is a text, 'sgd', 'adam' or 'adamw', and its numbers are options of Consensus: "
                            "optimizer='adamw', lr=0.001, weight_decay=0.01")
        self._model = model
        self._named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        _refuse(self._named)
        owners = {p: (module._parameters, key) for module in model.modules() for key, p in module._parameters.items()}
        self._owners = [owners[p] for _, p in self._named]
        self._buffers = _running_statistics(model, buffers)
        self._constants = {} if buffers == "mean" else {name: b.clone() for name, b in _kept_floats(model).items()}
        parameters = [p for _, p in self._named]
        self._memory = memory_of(parameters)
        self._gradients = self._memory.views(self._memory.gradient)
        self._places = [p.data_ptr() for p in parameters]
        self._thread = threading.get_ident()
        self._had_gradient, self._zeroed = False, self._memory.gradient._version
        self.consensus = ecl._consensus.Consensus(self._memory.x, lr=lr, optimizer=_text(optimizer, betas, eps),
                                                  same=_layout(model) + options.pop("same", ""), **options)
        self._first_lr = self.consensus.lr
        self._helped = options.get("progress") == "thread"
        self._hooks = [] if self._helped else [p.register_hook(self._meanwhile) for p in parameters]
        super().__init__(parameters, {"lr": self.consensus.lr})

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Before the forward pass: zeroes the last gradient, and moves the parameters to where the next is wanted. In
        lock step it waits for the neighbours. `set_to_none` makes no difference: gradients stay where they are.

        Between a forward pass and its backward() it may move what the pass has kept: backward() then says "modified by
        an inplace operation"."""
        self._require_in_place()
        self._memory.gradient.zero_()
        self._zeroed = self._memory.gradient._version
        for (_, p), gradient in zip(self._named, self._gradients):
            p.grad = gradient.detach()
        with self._memory.changing():
            self.consensus.begin()

    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:
        """One step along minus the gradients. Raises ecl.Diverged, and makes no step, if one holds an infinity or a
        NaN. Returns what `closure`, which may compute them, returns. A gradient of None counts as 0: weight decay,
        momentum and the neighbours go on moving that parameter, which torch.optim would leave alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        written = self._had_gradient or self._has_gradient()
        self._gather()
        if self._constants:
            self._refuse_changed_buffers()
        self._refuse_other_settings()
        lr = float(self.param_groups[0]["lr"]) or 1e-6 * self._first_lr
        if lr != self.consensus.lr:
            self.consensus.lr = lr
        gradient = self._memory.gradient_array((lambda: None) if self._helped else self.consensus.exchange)
        if not self._had_gradient:
            self._had_gradient = written
            if not written:
                warnings.warn("step() without gradients: loss.backward() belongs between zero_grad() and step()",
                              stacklevel=3)
        with self._memory.changing():
            self.consensus.step(gradient)
        return loss

    def settle(self) -> float:
        """The end of this rank's steps, wherever the others are: waits for them; then all exchange without gradients
        until their models agree. Returns the consensus error; warns where they do not."""
        self._require_same_parameters()
        now = dict(self._model.named_buffers())  # a forward pass may have put others in their place
        for name, shape in self._buffers.items():
            buffer = now.get(name)
            if buffer is None or buffer.shape != shape:
                what = "was removed" if buffer is None else \
                    f"changed its shape from {tuple(shape)} to {tuple(buffer.shape)}"
                raise ecl.Error(f"buffer {name} {what} after the Consensus was made; change the model first, then make "
                                "the Consensus")
        with self._memory.changing():
            error = self.consensus.settle()
        self._remove_hooks()
        for buffer in (now[name].detach() for name in self._buffers):
            values = buffer.to("cpu", torch.float32).contiguous().numpy().copy()
            self.consensus.average(values)
            buffer.copy_(torch.from_numpy(values))
        return error

    def average(self) -> None:
        """The parameters become their means over the ranks: the same bits on all. After settle()."""
        with self._memory.changing():
            self.consensus.average()

    def close(self) -> None:
        """Waits until all ranks close theirs. The end of the program does it, too."""
        self._remove_hooks()
        self.consensus.close()

    def state_dict(self) -> Dict[str, Any]:
        """All that load_state_dict() needs to go on from here, the parameters included. In lock step all ranks save
        after the same step, and it does what the next zero_grad() would: waits for the neighbours, and moves the
        parameters."""
        self._require_same_parameters()
        with self._memory.changing():
            saved = torch.frombuffer(bytearray(self.consensus.save()), dtype=torch.uint8)
        return {**super().state_dict(), "consensus": saved}

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Into a Consensus made alike, of as many ranks, that has made no step yet: parameters, too. In lock step
        training then goes on bit for bit."""
        state = dict(state_dict)
        if "consensus" not in state:
            raise ecl.Error("this state_dict is of another optimizer: it has no 'consensus'")
        consensus = state.pop("consensus")
        super().load_state_dict(state)
        with self._memory.changing():
            self.consensus.load(consensus.cpu().numpy().tobytes())

    def add_param_group(self, param_group: Dict[str, Any]) -> None:
        if self.param_groups:
            raise ecl.Error("a Consensus has one group of parameters: those of the model that it was made with")
        super().add_param_group(param_group)

    def _meanwhile(self, gradient: torch.Tensor) -> None:
        """Within backward(): messages move on, and faster neighbours get their answers."""
        if threading.get_ident() == self._thread:  # the one that MPI knows
            self.consensus.exchange()

    def _remove_hooks(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _require_in_place(self) -> None:
        for (name, p), (owner, key), place, gradient in zip(self._named, self._owners, self._places, self._gradients):
            if owner.get(key) is not p or p.data_ptr() != place or p.shape != gradient.shape:
                self._explain(name, owner.get(key), gradient)

    def _has_gradient(self) -> bool:
        """Of backward(), if only zeros: in its place, or where the caller had put None before."""
        return self._memory.gradient._version != self._zeroed or any(
            p.grad is not None and (p.grad.is_sparse or not p.grad.is_set_to(gradient))
            for (_, p), gradient in zip(self._named, self._gradients))

    def _gather(self) -> None:
        """Gradients are where they belong, unless somebody put others, or p.grad.data, in their place."""
        self._require_in_place()
        for (name, p), gradient in zip(self._named, self._gradients):
            if not p.requires_grad:
                self._explain(name, p, gradient)
            if p.grad is None:
                gradient.zero_()
            elif p.grad.is_sparse:
                raise ecl.Error(f"parameter {name} has a sparse gradient; make the layer with sparse=False")
            elif p.grad.is_set_to(gradient):
                continue
            else:
                gradient.copy_(p.grad.detach())
            p.grad = gradient.detach()

    def _refuse_other_settings(self) -> None:
        for name in ("weight_decay", "momentum", "betas", "eps"):
            if name in self.param_groups[0]:
                raise ecl.Error(f"param_groups[0]['{name}'] would change nothing: of a Consensus only lr can be set "
                                f"between steps; give {name} when it is made")

    def _refuse_changed_buffers(self) -> None:
        """At the first step: a forward pass that changes them has done it by then."""
        before, self._constants = self._constants, {}
        for name, now in _kept_floats(self._model).items():
            if name in before and not _same(now, before[name]):
                raise ecl.Error(f"buffer {name} has changed since the Consensus was made; buffers are not exchanged, "
                                "and would differ from rank to rank. If the forward pass changes it use "
                                "buffers='mean': settle() then averages them; if you did, do it before the Consensus "
                                "is made")

    def _require_same_parameters(self) -> None:
        self._gather()
        if [id(p) for p in self._model.parameters() if p.requires_grad] != [id(p) for _, p in self._named]:
            raise ecl.Error("the model has other parameters than when the Consensus was made; change the model first, "
                            "then make the Consensus")

    def _explain(self, name: str, p: Optional[torch.nn.Parameter], gradient: torch.Tensor) -> None:
        if p is None:
            what = "was removed"
        elif not p.requires_grad:
            what = "was frozen (requires_grad=False)"
        elif p.device != gradient.device:
            what = f"was moved from {gradient.device} to {p.device}"
        elif p.dtype != torch.float32:
            what = f"became {p.dtype}, and ecl works in float32,"
        elif p.shape != gradient.shape:
            what = f"changed its shape from {tuple(gradient.shape)} to {tuple(p.shape)}"
        else:
            what = "was replaced, or given other memory (p.data = ...; under torch.no_grad() p.copy_(...) is fine),"
        raise ecl.Error(f"parameter {name} {what} after the Consensus was made; change the model first, then make the "
                        "Consensus")


def _text(optimizer: str, betas: Optional[Tuple[Optional[float], float]], eps: Optional[float]) -> str:
    """As "adam:beta2=0.99"."""
    beta1, beta2 = betas or (None, None)
    given = [f"{key}={value}" for key, value in (("beta1", beta1), ("beta2", beta2), ("eps", eps)) if value is not None]
    return optimizer + (("," if ":" in optimizer else ":") + ",".join(given) if given else "")


def _refuse(named: List[Tuple[str, torch.nn.Parameter]]) -> None:
    if not named:
        raise ecl.Error("the model has no parameters that require a gradient: there is nothing to train")
    first, device = named[0][0], named[0][1].device
    for name, p in named:
        if p.device.type not in ("cpu", "cuda"):
            raise ecl.Error(f"parameter {name} is on {p.device}; ecl takes models on the CPU or on a CUDA device: "
                            "model.cpu() first")
        if p.device != device:
            raise ecl.Error(f"parameter {name} is on {p.device} and {first} on {device}; ecl takes models on one "
                            f"device: model.to('{device}') first")
        if p.dtype != torch.float32:
            raise ecl.Error(f"parameter {name} is {p.dtype}; ecl works in float32: model.float() first")


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _kept_floats(model: torch.nn.Module) -> Dict[str, torch.Tensor]:
    """Buffers of floats that the state_dict has: what it leaves out is computed from the rest."""
    kept = model.state_dict()
    return {name: b.detach() for name, b in model.named_buffers() if b.is_floating_point() and name in kept}


def _running_statistics(model: torch.nn.Module, buffers: str) -> Dict[str, torch.Size]:
    """The buffers that settle() averages, with their shapes."""
    if buffers not in ("refuse", "mean"):
        raise ecl.Error(f"buffers={buffers!r} is none of 'refuse', 'mean'")
    layers = [(name, m) for name, m in model.named_modules() if getattr(m, "running_mean", None) is not None]
    if buffers == "refuse" and layers:
        name, layer = layers[0]
        raise ecl.Error(
            f"layer {name} ({type(layer).__name__}) keeps running means of this rank's own data, which differ from the "
            "other ranks' and are not exchanged; use torch.nn.GroupNorm, or buffers='mean': settle() then averages them"
        )
    averaged = {name: b for name, b in model.named_buffers() if buffers == "mean" and b.is_floating_point()}
    for name, b in averaged.items():
        if b.dtype == torch.float64:
            raise ecl.Error(f"buffer {name} is {b.dtype}; buffers='mean' averages in float32: model.float() first")
    return {name: b.shape for name, b in averaged.items()}


def _layout(model: torch.nn.Module) -> str:
    """What must be alike on all ranks besides the trained values: names and shapes, frozen values."""
    text, frozen = "", 0
    for name, p in model.named_parameters():
        text += f"{name}{tuple(p.shape)}{'' if p.requires_grad else '='} "
        if not p.requires_grad:
            frozen = zlib.crc32(p.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes(), frozen)
    text += " ".join(f"{name}{tuple(b.shape)}" for name, b in model.named_buffers())
    return f"parameters {zlib.crc32(text.encode()):08x}, frozen values {frozen:08x}"
