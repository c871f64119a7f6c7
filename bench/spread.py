"""How far equal asynchronous runs over real ranks lie apart. `bench/spread` starts this.

Makes every job N times (10), in turns, over mpirun with eight ranks, and prints a Markdown table of the accuracy of the
nodes' mean and of the worst node in per cent: mean and standard deviation of the runs, least and largest. Wants an
idle machine: ranks that share their cores with other work are late. Five minutes on two cores.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAIN = ("--dataset fashion-mnist --model softmax --partition classes:2 --topology ring --lr 0.02 --batch 100 "
        "--epochs 40 --local-steps 8 ")  # of scripts/run
JOBS = {
    "ecl": MAIN,
    "ecl-one-node-4x-slower": MAIN + "--node-speed 0:4",
    "dpsgd": MAIN + "--solver dpsgd --exchanges 4",
    "ecl-constant-rate": "--dataset fashion-mnist --model softmax --topology double_ring --partition classes:8 "
                         "--lr 0.02 --lr-schedule constant --batch 100 --local-steps 8 --steps 1000",
}


def accuracies(ecl, options):
    """Of the nodes' mean and of the worst node, in per cent; None of a run that diverged."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = ["mpirun", "-n", "8", ecl, "train", "--quiet", "--eval-every", "0", *options.split(), "--out", out]
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode not in (0, 4):  # 4: diverged, which is a result
            sys.exit(f"bench/spread: {options}\n{run.stderr}")
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    if summary["verdict"] == "diverged":
        return None
    return [summary[key] for key in ("test_accuracy_mean", "test_accuracy_min")]


def cells(values):
    spread = statistics.stdev(values) if len(values) > 1 else 0
    return [f"{statistics.mean(values):.2f} ± {spread:.2f}", f"{min(values):.2f} to {max(values):.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--ecl", default=str(ROOT / "build" / "ecl"))
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=", ".join(JOBS))
    arguments = parser.parse_args()
    jobs = arguments.jobs or list(JOBS)
    if unknown := [job for job in jobs if job not in JOBS]:
        parser.error(f"no job is called {', '.join(unknown)}; there are: {', '.join(JOBS)}")
    results = {job: [] for job in jobs}
    for number in range(1, arguments.runs + 1):
        for job in jobs:
            results[job].append(accuracies(arguments.ecl, JOBS[job]))
            print(f"run {number}, {job}: {results[job][-1]}", file=sys.stderr)
    print(f"{arguments.runs} runs each, {os.cpu_count()} cores\n")
    print("| job | nodes' mean, % | least to largest | worst node, % | least to largest |")
    print("|---|---:|---:|---:|---:|")
    for job, runs in results.items():
        lost = runs.count(None)
        name = job + (f" (diverged {lost}/{len(runs)}, left out)" if lost else "")
        columns = [cells(values) for values in zip(*filter(None, runs))] or [["-", "-"]] * 2
        print("| " + " | ".join([name, *columns[0], *columns[1]]) + " |")


if __name__ == "__main__":
    main()
