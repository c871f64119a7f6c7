"""A job that may be killed at any moment, by kill -9, too, and goes on when it is started again:

    mpirun -n 4 python3 resume.py

Every rank sees its part of a sine curve, and all learn the whole. In lock step a job that was killed ends in the same
bits as one that was not. Each rank keeps its two newest states: no rank is further ahead than that."""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

import ecl

EVERY = 50  # steps from one saved state to the next


def batch(step):
    """Follows from rank and step alone, so a job that goes on sees what it would have seen."""
    draw = torch.Generator().manual_seed(ecl.size() * step + ecl.rank())
    x = 2 * torch.pi * (ecl.rank() + torch.rand(16, 1, generator=draw)) / ecl.size()
    return x, x.sin()


def saved_state(out, step):
    return out / f"rank{ecl.rank()}-step{step}.pt"


def save(out, step, state):
    """Whole or not at all, whenever the job is killed."""
    torch.save(state, out / f"rank{ecl.rank()}.new")
    os.replace(out / f"rank{ecl.rank()}.new", saved_state(out, step))
    saved_state(out, step - 2 * EVERY).unlink(missing_ok=True)


def newest_of_all(optimizer, out, steps):
    """The last step whose state every rank has saved; 0 where there is none. Needs no disk that ranks share."""
    have = np.array([saved_state(out, step).exists() for step in range(0, steps + 1, EVERY)], np.float32)
    have[0] = 1
    optimizer.consensus.average(have)  # over the ranks
    return EVERY * int(np.flatnonzero(have > 0.999)[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("states"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the ranks share the cores

    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = ecl.torch.Consensus(model, lr=0.1, mode="lock-step")

    begin = newest_of_all(optimizer, args.out, args.steps)
    if begin > 0:
        optimizer.load_state_dict(torch.load(saved_state(args.out, begin)))  # the model is in it
        if ecl.rank() == 0:
            print(f"goes on from step {begin}", flush=True)
    for step in range(begin, args.steps):
        x, y = batch(step)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            save(args.out, step + 1, optimizer.state_dict())  # of a scheduler as well, where there is one
    optimizer.settle()
    optimizer.average()  # to the bit

    x = torch.linspace(0, 2 * torch.pi, 100)[:, None]
    with torch.no_grad():
        error = (model(x) - x.sin()).abs().max()
    print(f"rank {ecl.rank()} is off by {error:.9f} at most, over the whole curve\n", end="")
    torch.save(model.state_dict(), args.out / f"site{ecl.rank()}.pt")


if __name__ == "__main__":
    main()
