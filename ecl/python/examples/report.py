"""Compares algorithms, as in a notebook: python3 report.py draws report.png. Eight simulated nodes, each with 2 of the
10 classes of the digits."""

import matplotlib.pyplot as plt

import ecl

job = {"nodes": 8, "partition": "classes:2", "model": "mlp:32", "epochs": 15, "local_steps": 1}
runs = {solver: ecl.simulate(solver=solver, **job) for solver in ("ecl", "dpsgd")}

figure, panels = plt.subplots(1, len(runs), figsize=(9, 3.5), sharey=True)
for panel, (solver, run) in zip(panels, runs.items()):
    run.plot(ax=panel).set_title(solver)
    summary = run.summary
    print(f"{solver:6} {run.verdict}: mean {summary['test_accuracy_mean']:.1f} %, worst node "
          f"{summary['test_accuracy_min']:.1f} %, {summary['bytes_sent'] / 1e6:.1f} MB")
figure.tight_layout()
figure.savefig("report.png")

best = max(runs.values(), key=lambda run: run.summary["test_accuracy_consensus"])  # in a notebook, `best` shows itself
print(best)
print({name: values.shape for name, values in best.model().items()})
