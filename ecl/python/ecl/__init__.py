"""ecl: decentralised training by edge-consensus learning, over MPI.

Every rank has data of its own and trains the same model on it; neighbours in a graph exchange messages until all agree
on one model, about as good as if the data had been in one place. No server, nobody waits for the slow, no data moves.

    import ecl, torch                                   # mpirun -n 8 python3 train.py

    torch.manual_seed(1)                                # all ranks start alike: that is checked
    model = Net()
    optimizer = ecl.torch.Consensus(model, lr=0.1, topology="ring")
    for x, y in loader:                                 # this rank's own data
        optimizer.zero_grad()                           # takes what the neighbours sent
        criterion(model(x), y).backward()
        optimizer.step()                                # and sends
    optimizer.settle()                                  # until all ranks agree
    torch.save(model.state_dict(), f"site{ecl.rank()}.pt")

    ecl.torch.Consensus   a torch.optim.Optimizer over the parameters of a module
    ecl.Consensus         the same over an array of floats, with gradients from wherever you have them
    ecl.rank, ecl.size    of this process among those that mpirun started; 0 of 1 without mpirun
    ecl.topology          who exchanges with whom in a graph
    ecl.Error             what goes wrong; RankLost and Diverged are such

`python3 -m ecl` is the command line tool: python3 -m ecl doctor, train, list, ...
"""

import importlib
from typing import Any

from ecl._library import Diverged, Error, RankLost, mpi, rank, size, topology, version
from ecl._consensus import Consensus

__version__ = version()
__all__ = ["Consensus", "Diverged", "Error", "RankLost", "mpi", "rank", "size", "topology", "torch", "version"]


def __getattr__(name: str) -> Any:
    if name == "torch":  # imported when it is asked for: PyTorch is not needed for the rest
        return importlib.import_module("ecl.torch")
    raise AttributeError(f"module 'ecl' has no attribute {name!r}")
