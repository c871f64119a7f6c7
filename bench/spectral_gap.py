#!/usr/bin/env python3
"""bench/spectral_gap.py: how many exchanges a round a graph needs, against its spectral gap; a Markdown table.

Quadratics that differ from node to node, one a node, in lock step: 100 rounds of one gradient. Printed is the least R
with which, at the best of three learning rates, all nodes are within one per cent of the optimum (root mean square over
the nodes, relative). With exact averages 40 rounds or so are enough at each of the three. Seven minutes of one core.
"""
import json
import math
import re
import subprocess
import tempfile
from pathlib import Path

ECL = Path(__file__).resolve().parent.parent / "build" / "ecl"
GRAPHS = [("ring", n) for n in (8, 16, 32, 64, 128, 256)] + [("torus", n) for n in (16, 64, 256, 1024)]
GRAPHS += [("exponential", n) for n in (64, 1024)] + [("random_regular:4", n) for n in (64, 1024)]
SOLVERS = {
    "ecl": ["--set", "beta=0.8"],
    "led": ["--set", "gossip=chebyshev", "--momentum", "0.8"],
    "detag": ["--set", "gossip=chebyshev", "--momentum", "0.8"],
    "gradient_tracking": ["--momentum", "0.8"],
}
LEARNING_RATES = [0.1, 0.2, 0.4]
EXCHANGES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]
ENOUGH = 0.01


def error(solver, graph, nodes, exchanges, learning_rate):
    """Root mean square distance of the nodes' models to the optimum, relative; infinite if the run diverged."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [
            ECL, "simulate", "--dataset", "quadratic", "--model", "quadratic", "--mode", "lock-step",
            "--local-steps", "1", "--batch", "1", "--steps", "100", "--lr-schedule", "constant", "--eval-every", "0",
            "--settle", "0", "--quiet", "--nodes", nodes, "--topology", graph, "--solver", solver, *SOLVERS[solver],
            "--exchanges", exchanges, "--lr", learning_rate, "--out", out,
        ]
        subprocess.run([str(word) for word in command], capture_output=True, check=False)
        summary = json.loads((out / "summary.json").read_text())
    if summary["verdict"] == "diverged":
        return math.inf
    return math.hypot(summary["distance_to_optimum"], summary["consensus_error"])


def enough(solver, graph, nodes, exchanges):
    return any(error(solver, graph, nodes, exchanges, rate) <= ENOUGH for rate in LEARNING_RATES)


def least_exchanges(solver, graph, nodes):
    """By bisection: more exchanges are never worse here."""
    low, high = 0, len(EXCHANGES)
    while low < high:
        middle = (low + high) // 2
        if enough(solver, graph, nodes, EXCHANGES[middle]):
            high = middle
        else:
            low = middle + 1
    return str(EXCHANGES[low]) if low < len(EXCHANGES) else f"> {EXCHANGES[-1]}"


def spectral_gap(graph, nodes):
    run = subprocess.run([ECL, "topology", graph, "-n", str(nodes)], capture_output=True, text=True, check=True)
    return float(re.search(r"spectral gap\s+(\S+)", run.stdout)[1])


def main():
    print("| graph | nodes | gap | 1 / gap | its root | " + " | ".join(SOLVERS) + " |")
    print("|---|" + "---:|" * (len(SOLVERS) + 4))
    for graph, nodes in GRAPHS:
        gap = spectral_gap(graph, nodes)
        cells = [least_exchanges(solver, graph, nodes) for solver in SOLVERS]
        head = f"| {graph} | {nodes} | {gap:.2g} | {1 / gap:.0f} | {gap ** -0.5:.0f} | "
        print(head + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
