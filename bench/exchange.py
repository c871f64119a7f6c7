"""What exchanging models costs: a message between two ranks, and the share of training that goes into it.

`bench/exchange` starts this. build/bench/exchange measures one layout, ecl beside what bounds it, in turns in one run;
here the layouts are listed and their figures become Markdown tables.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ECL = ROOT / "build/ecl"
HOSTS = ROOT / "tests/hosts/run"
FAR = ["--delay", "1", "--switch", ROOT / "build/tests/hosts_switch"]

OPEN_MPI = ["mpirun", "-n", "2", ROOT / "build/bench/exchange"]
MPICH = ["mpiexec.mpich", "-n", "2", ROOT / "build-mpich/bench/exchange"]
TWO_HOSTS = [HOSTS, "2", "1", ROOT / "build/bench/exchange"]

KERNEL_COPIES = {"OMPI_MCA_btl_vader_single_copy_mechanism": "cma"}  # osc/rdma has no other way here

# Name, command, exchange, what makes Open MPI choose the component.
LAYOUTS = [
    ("one host, Open MPI", OPEN_MPI, "shared", {}),
    ("one host, Open MPI osc/sm", OPEN_MPI, "window", {}),
    ("one host, Open MPI osc/rdma", OPEN_MPI, "window", {"OMPI_MCA_osc": "rdma", **KERNEL_COPIES}),
    ("one host, Open MPI osc/pt2pt", OPEN_MPI, "window", {"OMPI_MCA_osc": "pt2pt"}),
    ("one host, Open MPI osc/ucx", OPEN_MPI, "window", {"OMPI_MCA_osc": "ucx"}),
    ("one host, Open MPI", OPEN_MPI, "messages", {}),
    ("one host, MPICH", MPICH, "shared", {}),
    ("one host, MPICH", MPICH, "window", {}),
    ("one host, MPICH", MPICH, "messages", {}),
    ("two hosts, TCP, Open MPI osc/pt2pt", TWO_HOSTS, "window", {}),
    ("two hosts, TCP, Open MPI", TWO_HOSTS, "messages", {}),
]
POKES_MS = ["0", "10", "1", "0.1"]
PROGRESS = [LAYOUTS[0], LAYOUTS[5], LAYOUTS[9], LAYOUTS[10]]
SIZES = {4000: "4 kB", 40000: "40 kB", 400000: "400 kB", 4000000: "4 MB", 40000000: "40 MB"}

TRAINING = ["train", "--dataset", "fashion-mnist", "--partition", "classes:2", "--topology", "ring", "--batch", "100",
            "--eval-every", "0", "--quiet", "--exchanges", "1"]
MODELS = {"softmax": ["--model", "softmax", "--lr", "0.02", "--steps", "6000"],
          "mlp": ["--model", "mlp", "--hidden", "128", "--lr", "0.03", "--steps", "4000"]}
PLACES = {"one host of 8 ranks": ["mpirun", "-n", "8"], "4 hosts of 2 ranks": [HOSTS, "4", "2"],
          "4 hosts of 2 ranks, 1 ms apart": [HOSTS, *FAR, "4", "2"]}


SEVERAL = {"mlp": ["--dataset", "fashion-mnist", "--model", "mlp", "--batch", "100", "--steps", "500"],
           "cnn": ["--dataset", "fashion-mnist", "--model", "cnn", "--batch", "100", "--steps", "160"],
           "resnet:20": ["--dataset", "cifar10", "--data", ROOT / "data/cifar10", "--model", "resnet:20",
                         "--batch", "25", "--steps", "30"]}
EXCHANGES = ["1", "4", "8"]


def run(command, environment=None):
    """What a command prints; None, with its reason on stderr, if it fails or takes more than five minutes."""
    try:
        result = subprocess.run([str(word) for word in command], env={**os.environ, **(environment or {})},
                                stdout=subprocess.PIPE, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None
    return result.stdout if result.returncode == 0 else None


def print_table(title, head, rows):
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def microseconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def times_of(command, exchange, environment):
    """{(way, bytes): (send, receive, delivery)} in microseconds."""
    lines = (run([*command, "times", exchange], environment) or "").splitlines()
    fields = (line.split() for line in lines)
    return {(f[0], int(f[1])): tuple(float(x) for x in f[2:]) for f in fields if len(f) == 5}


def cost_cell(times, size):
    """Sender's and receiver's microseconds; over the two memcpys; over a raw put and the copy out of the window."""
    if ("ecl", size) not in times:
        return "-"
    ours = sum(times["ecl", size][:2])
    cell = microseconds(ours)
    for bound in "memcpy", "put":
        cell += f" / {ours / sum(times[bound, size][:2]):.1f}" if (bound, size) in times else " / -"
    return cell


def delivery_cell(times, size):
    """Microseconds from post to the reader's copy; over a raw put; over Isend and Irecv."""
    if ("ecl", size) not in times:
        return "-"
    ours = times["ecl", size][2]
    cell = microseconds(ours)
    for bound in "memcpy", "put", "isend":
        cell += f" / {ours / times[bound, size][2]:.1f}" if (bound, size) in times else " / -"
    return cell


def bandwidth(times):
    largest = max(SIZES)
    return f"{largest / times['ecl', largest][2] / 1e3:.2f}" if ("ecl", largest) in times else "-"


def message_tables():
    measured = [(name, exchange, times_of(command, exchange, environment))
                for name, command, exchange, environment in LAYOUTS]
    print_table("What a message costs sender and receiver together, microseconds / times two memcpys / times a raw put "
                "and a copy out", ["layout", "exchange", *SIZES.values()],
                [[name, exchange, *(cost_cell(times, size) for size in SIZES)]
                 for name, exchange, times in measured if exchange != "messages"])
    print_table("From post to the reader's copy, microseconds / times memcpy / times a raw put / times Isend and Irecv",
                ["layout", "exchange", *SIZES.values(), "GB/s at 40 MB"],
                [[name, exchange, *(delivery_cell(times, size) for size in SIZES), bandwidth(times)]
                 for name, exchange, times in measured])


def progress_table():
    rows = []
    for name, command, exchange, environment in PROGRESS:
        for poke in POKES_MS:
            fields = (run([*command, "progress", exchange, poke], environment) or "").split()
            rows.append([name, exchange, "never" if poke == "0" else f"{poke} ms", *(fields[1:] or ["-"] * 4)])
    print_table("Rank 1 computes 20 ms at a time and lets MPI move now and then; rank 0 posts 400 kB every 5 ms",
                ["layout", "exchange", "moves every", "post, ms: median", "longest", "age when taken, ms", "taken/s"],
                rows)


def training_table():
    rows = []
    for model, options in MODELS.items():
        for local_steps in "1", "2", "8":
            for place, launcher in PLACES.items():
                with tempfile.TemporaryDirectory() as scratch:
                    out = pathlib.Path(scratch) / "run"
                    done = run([*launcher, ECL, *TRAINING, *options, "--local-steps", local_steps, "--out", out])
                    if done is None:
                        rows.append([model, local_steps, place, "-", "-"])
                        continue
                    summary = json.loads((out / "summary.json").read_text())
                exchange_s, gradient_s = summary["exchange_seconds"], summary["gradient_seconds"]
                rows.append([model, local_steps, place, f"{100 * exchange_s / (exchange_s + gradient_s):.1f}",
                             f"{summary['steps'] / summary['seconds']:,.0f}"])
    print_table("Training on a ring of 8: share of exchange in the time of all steps, and steps a second of all ranks",
                ["model", "K", "layout", "exchange, %", "steps/s"], rows)


def step_ms(options, exchanges):
    """Of a run on one host of 8 ranks that exchange after each step; infinite if it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "run"
        done = run(["mpirun", "-n", "8", ECL, "train", *options, "--partition", "classes:4", "--lr", "0.02", "--quiet",
                    "--eval-every", "0", "--settle", "0", "--local-steps", "1", "--exchanges", exchanges,
                    "--out", out])
        if done is None:
            return float("inf")
        summary = json.loads((out / "summary.json").read_text())
    return 8e3 * summary["seconds"] / summary["steps"]  # summary's steps are of all nodes


def several_table():
    """Several exchanges a round, in turns; the best of three."""
    rows = []
    for model, options in SEVERAL.items():
        turns = [[step_ms(options, exchanges) for exchanges in EXCHANGES] for _ in range(3)]
        best = [min(times) for times in zip(*turns)]
        rows.append([model, *(f"{ms:.1f} ({ms / best[0]:.2f})" for ms in best)])
    print_table("R exchanges after every step, ring of 8 on one host: ms a step, times that of R = 1",
                ["model", *(f"R = {exchanges}" for exchanges in EXCHANGES)], rows)


TABLES = {"messages": message_tables, "progress": progress_table, "training": training_table, "several": several_table}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
