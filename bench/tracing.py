"""What --trace costs: the same run without and with it, in turns; microseconds of processor time a step, start and all,
but without the writing of the file; and the ratio.

`bench/tracing` starts this: tracing.py TOOL RANKS.
"""
import json
import statistics
import subprocess
import sys
import tempfile

TOOL, RANKS = sys.argv[1:]
TURNS = 9
ON_RANKS = ["mpirun", "-n", RANKS, TOOL, "train"]
RUNS = {  # a step of the smallest model is the worst case
    "simulate, softmax": [TOOL, "simulate", "--nodes", RANKS, "--model", "softmax", "--steps", "50000"],
    "train, softmax": [*ON_RANKS, "--model", "softmax", "--steps", "100000"],
    "train, mlp:256,128": [*ON_RANKS, "--model", "mlp:256,128", "--steps", "2000"],
}


def microseconds_a_step(command, trace):
    with tempfile.TemporaryDirectory() as folder:
        command = [*command, "--eval-every", "0", "--settle", "0", "--local-steps", "8", "--quiet",
                   "--out", f"{folder}/run"] + (["--trace", f"{folder}/trace.json"] if trace else [])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(f"{folder}/run/summary.json", encoding="utf-8") as file:
            summary = json.load(file)
    return 1e6 * summary["cpu_seconds"] / summary["steps"]


for name, command in RUNS.items():
    times = {False: [], True: []}
    for turn in range(TURNS):
        for trace in (turn % 2 == 0, turn % 2 == 1):
            times[trace].append(microseconds_a_step(command, trace))
    off, on = (statistics.median(times[trace]) for trace in (False, True))
    print(f"{name:20}  off: least {min(times[False]):.2f} us, median {off:.2f}"
          f"  on: least {min(times[True]):.2f} us, median {on:.2f}"
          f"  ratio: {min(times[True]) / min(times[False]):.3f}, {on / off:.3f}", flush=True)
