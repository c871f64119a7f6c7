"""What a step costs from Python, a million parameters, one exchange a round: ecl alone, and in whole iterations of a
PyTorch model, beside SGD without exchange and DistributedDataParallel over gloo, which take turns on the same ranks.

`bench/own_loops` starts this under mpirun.
"""
import os
import time

import numpy as np
import torch
from torch import nn

import ecl

PARAMETERS, STEPS, TURNS = 1_000_000, 100, 4
torch.set_num_threads(1)


def report(name, times):
    if ecl.rank() == 0:
        print(f"{name}\tleast {1e3 * min(times):.2f} ms\tmedian {1e3 * np.median(times):.2f} ms", flush=True)


def timed(call, times):
    start = time.perf_counter()
    call()
    times.append(time.perf_counter() - start)


def numpy_steps():
    consensus = ecl.Consensus(torch.zeros(PARAMETERS).numpy(), exchanges=1, lr=0.01)
    gradient, times = np.full(PARAMETERS, 1e-3, np.float32), []
    for _ in range(TURNS * STEPS):
        timed(lambda: (consensus.begin(), consensus.step(gradient)), times)
    report("ecl.Consensus: begin, step", times)
    consensus.close()


def module():
    """A million parameters in 16 layers: 250 x 250 and biases."""
    torch.manual_seed(1)
    return nn.Sequential(*(layer for _ in range(16) for layer in (nn.Linear(250, 250), nn.ReLU())))


def iterations():
    """Whole ones, batch 32; and of ecl's what zero_grad() and step() take of them."""
    x, y = torch.randn(32, 250), torch.randn(32, 250)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(20000 + os.getppid() % 40000))
    torch.distributed.init_process_group("gloo", rank=ecl.rank(), world_size=ecl.size())
    alone, consensual = module(), module()
    parallel = nn.parallel.DistributedDataParallel(module())
    ways = {"SGD, no exchange": (alone, torch.optim.SGD(alone.parameters(), lr=0.01)),
            "ecl.torch.Consensus": (consensual, ecl.torch.Consensus(consensual, exchanges=1, lr=0.01)),
            "DistributedDataParallel (gloo) and SGD": (parallel, torch.optim.SGD(parallel.parameters(), lr=0.01))}
    times = {name: [] for name in ways}
    within = []

    def iterate(model, optimizer):
        start = time.perf_counter()
        optimizer.zero_grad()
        zeroed = time.perf_counter()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        computed = time.perf_counter()
        optimizer.step()
        if isinstance(optimizer, ecl.torch.Consensus):
            within.append(zeroed - start + time.perf_counter() - computed)

    for _ in range(TURNS):
        for name, way in ways.items():
            torch.distributed.barrier()
            for _ in range(STEPS):
                timed(lambda: iterate(*way), times[name])
    for name, taken in times.items():
        report(f"iteration: {name}", taken)
    report("of it zero_grad, step of ecl.torch.Consensus", within)
    ways["ecl.torch.Consensus"][1].close()


numpy_steps()
iterations()
