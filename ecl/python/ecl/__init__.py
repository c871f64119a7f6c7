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

    ecl.simulate          a whole experiment in this process, as the tool's command: ecl.simulate(nodes=8, epochs=5)
    ecl.train             the same over the ranks of mpirun
    ecl.Run               what a run has left: summary, metrics, model, predictions, a picture
    ecl.Classifier        for tables, as scikit-learn's: each rank fits its own rows; ecl.Regressor for numbers
    ecl.report            a page that tells how runs went, for a browser
    ecl.tool              any other command of the tool
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
from ecl._run import Run, simulate, train
from ecl._tool import tool

__version__ = version()
# Without what __getattr__ imports: `from ecl import *` is to leave the program's own `torch` alone.
__all__ = ["Consensus", "Diverged", "Error", "RankLost", "Run", "mpi", "rank", "simulate", "size", "tool", "topology",
           "train", "version"]


def __getattr__(name: str) -> Any:
    if name == "torch":  # imported when it is asked for: PyTorch is not needed for the rest
        return importlib.import_module("ecl.torch")
    if name in ("Classifier", "Regressor"):  # these import scikit-learn, where it is installed
        return getattr(importlib.import_module("ecl._estimators"), name)
    if name == "report":  # this wants jinja2
        return importlib.import_module("ecl._report").report
    raise AttributeError(f"module 'ecl' has no attribute {name!r}")
