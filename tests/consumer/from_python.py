"""The training loop of own_loop.cpp, from Python: rank i wants x = i, together they want the mean rank."""

import numpy as np

import ecl

x = np.zeros(1000, np.float32)
consensus = ecl.Consensus(x, topology="ring", mode="lock-step", lr=0.1, local_steps=8)
for _ in range(4000):
    consensus.begin()
    consensus.step(x - ecl.rank())
consensus.settle()
error = abs(x - (ecl.size() - 1) / 2).max()
print(f"rank {ecl.rank()} of {ecl.size()} has {x[0]:.4f}, error {error:.1e}")
assert error < 1e-4
