"""What reading data costs: memory of the largest rank, processor time, megabytes a second. `bench/loading` starts this.

Every figure is the best of three runs.
"""
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TURNS = 3
RANKS = 8
SHORT = ["--steps", "1", "--eval-every", "0", "--settle", "0", "--quiet"]


def write_csv(path, rows, columns, seed):
    """Rows of four-digit numbers and a label of ten; about as long as real measurements."""
    draw = random.Random(seed)
    cells = [f"{draw.random():.4f}" for _ in range(5000)]
    with open(path, "w", encoding="ascii") as file:
        file.write(",".join(f"x{c}" for c in range(columns)) + ",label\n")
        for row in range(rows):
            first = draw.randrange(5000)
            file.write(",".join(cells[(first + 7 * c) % 5000] for c in range(columns)) + f",{row % 10}\n")


def write_sparse(path, rows, columns, values):
    draw = random.Random(2)
    weight = [draw.gauss(0, 1) for _ in range(columns)]
    with open(path, "w", encoding="ascii") as file:
        for _ in range(rows):
            at = sorted({int(columns * draw.random() ** 3) for _ in range(values)})
            row = [(f, draw.random()) for f in at]
            label = 1 if sum(weight[f] * value for f, value in row) > 0 else -1
            file.write(f"{label} " + " ".join(f"{f + 1}:{value:.4f}" for f, value in row) + "\n")


def peak(tool, *options):
    """Of the largest of 8 ranks that train for a step, in MB; None if the tool refuses."""
    best = float("inf")
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory() as scratch:
            command = ["mpirun", "-n", str(RANKS), tool, "train", *SHORT, *options, "--out", scratch + "/run"]
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            if done.returncode != 0:
                return None
            with open(scratch + "/run/summary.json", encoding="utf-8") as file:
                best = min(best, json.load(file)["peak_memory_bytes"] / 1e6)
    return best


def processor_seconds(command):
    """Of all its processes."""
    seconds = []
    for _ in range(TURNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def reading(tool, ranks, *options):
    """Processor seconds that `ecl data` takes on so many ranks, beyond those with data that are read from no file."""
    on_ranks = ["mpirun", "-n", str(ranks), tool, "data", "-n", str(RANKS if ranks == 1 else ranks)]
    return processor_seconds([*on_ranks, *options]) - processor_seconds([*on_ranks, "--dataset", "digits"])


def csv_speed(tool, path):
    """MB of a csv file that a core reads in a second."""
    seconds = processor_seconds([tool, "data", "-n", "1", "--dataset", "csv", "--data", path])
    return Path(path).stat().st_size / 1e6 / seconds


def steps_per_second(tool, steps, *options):
    """Of one node, in the simulator, by its last line."""
    best = 0.0
    for _ in range(TURNS):
        text = subprocess.run([tool, "simulate", "--nodes", "1", "--steps", str(steps), "--eval-every", "0", "--quiet",
                               *options], stdout=subprocess.PIPE, text=True, check=True).stdout
        best = max(best, float(text.split("node steps per second")[0].split()[-1]))
    return best


def table(head, tools, rows):
    print(f"| {head} | " + " | ".join(tools) + " |")
    print("|---" * (len(tools) + 1) + "|")
    for name, cells in rows:
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(flush=True)


def memory_rows(tools, files):
    """The first is what a rank takes with next to no data."""
    digits = [peak(tool, "--dataset", "digits") for tool in tools]
    dealt = ["--dataset", "csv", "--data", files["all"], "--partition", "iid"]
    own = ["--dataset", "csv", "--data", files["own"]]
    fashion = ["--dataset", "fashion-mnist", "--partition", "classes:2"]
    jobs = [("Fashion-MNIST, `classes:2`: 7.1 own at most, 7.9 to test", fashion),
            ("csv, 60,000 x 784, dealt: 18.8 own, 37.8 to test", dealt),
            ("csv, 8 files of 7,500 x 784: 18.8 own, 4.7 to test", own),
            ("libsvm, 20,000 x 47,236, 0.16 % there, dealt", ["--dataset", "libsvm", "--data", files["sparse"]])]
    yield "a run on `digits`", [f"{found:.1f}" for found in digits]
    for name, options in jobs:
        found = [peak(tool, *options) for tool in tools]
        yield name, ["-" if one is None else f"{one:.1f}" for one in found]


def time_rows(tools, files):
    fashion = ["--dataset", "fashion-mnist", "--partition", "iid"]
    one, eight = ([reading(tool, ranks, *fashion) for tool in tools] for ranks in (1, RANKS))
    yield "Fashion-MNIST, one rank: s", [f"{seconds:.2f}" for seconds in one]
    yield f"the same, {RANKS} ranks in all: s", [f"{seconds:.2f}" for seconds in eight]
    yield "times one", [f"{many / few:.2f}" for few, many in zip(one, eight)]
    yield "csv, MB/s of one core", [f"{csv_speed(tool, files['all']):.0f}" for tool in tools]
    for batch in ("32", "100"):
        options = ["--dataset", "libsvm", "--data", files["sparse"], "--batch", batch]
        yield (f"softmax on sparse rows, batch {batch}: steps/s",
               [f"{steps_per_second(tool, 400, *options):,.0f}" for tool in tools])


def main():
    tools = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        files = {"all": folder + "/all.csv", "own": folder + "/own{node}.csv", "sparse": folder + "/sparse.svm"}
        write_csv(files["all"], 60_000, 784, 1)
        for node in range(RANKS):
            write_csv(files["own"].format(node=node), 7_500, 784, node)
        write_sparse(files["sparse"], 20_000, 47_236, 80)
        names = [f"`{tool}`" for tool in tools]
        table("largest of 8 ranks, MB at its peak", names, memory_rows(tools, files))
        table("processor time beyond a run on `digits`; speed", names, time_rows(tools, files))


main()
