"""Where to train: in the cloud, on each device alone, federated, on edge servers, or fully decentralised.

`bench/architectures` starts this. Trains softmax regression on Fashion-MNIST from 32 devices of two classes
each, in the simulator, once per architecture and on one stated network. Prints a Markdown table; DIR gets the runs, and
their accuracy over virtual seconds as architectures.png and .svg. All make the same number of passes over the data.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ECL = ROOT / "build" / "ecl"

# The network and the machines.
DEVICES = 32
LATENCY_S = 0.02
BANDWIDTH_BYTES_S = 1.25e6  # 10 Mbit/s on every link, each way
DEVICE_STEP_S = 0.01
SERVER_STEP_S = DEVICE_STEP_S / 4

BATCH = 32
EVALUATIONS = 25  # on devices; servers as often per virtual second

DATA = ["--dataset", "fashion-mnist", "--partition", "classes:2", "--devices", str(DEVICES), "--seed", "1"]
COMMON = DATA + [
    "--model", "softmax", "--lr", "0.02", "--lr-schedule", "linear:0.7", "--batch", str(BATCH), "--local-steps", "8",
    "--exchanges", "1", "--quiet",
    "--latency-s", str(LATENCY_S), "--bandwidth-bytes-s", str(BANDWIDTH_BYTES_S)]

# Name, nodes, options. Node 0 of a star is a device like the others that hosts the server.
ARCHITECTURES = [
    ("cloud: central SGD", 1, ["--placement", "cloud", "--solver", "local"]),
    ("device only: local SGD", DEVICES, ["--solver", "local"]),
    ("federated: fedavg", DEVICES, ["--solver", "fedavg", "--topology", "star", "--mode", "lock-step"]),
    ("federated: fedbuff", DEVICES, ["--solver", "fedbuff", "--topology", "star"]),
    ("hybrid: edge:4 + ecl, ring", 4, ["--placement", "edge:4", "--solver", "ecl"]),
    ("decentralised: ecl, ring", DEVICES, ["--solver", "ecl"]),
    ("decentralised: ecl, exponential", DEVICES, ["--solver", "ecl", "--topology", "exponential"]),
    ("decentralised: dpsgd, ring", DEVICES, ["--solver", "dpsgd"]),
]


def ecl(*arguments):
    result = subprocess.run([ECL, *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr.strip() or f"{ECL} failed")
    return result.stdout


def largest_share():
    """Samples of the device that holds most, from `ecl data`: lines of node, samples, counts per class."""
    rows = (line.split() for line in ecl("data", *DATA).splitlines())
    return max(int(row[1]) for row in rows if len(row) > 2 and row[0].isdigit() and row[1].isdigit())


def learning_curve(path, upload_s):
    """[(seconds, mean accuracy over the nodes)], one per evaluation."""
    evaluations = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            evaluations.setdefault(int(row["step"]), []).append((float(row["time_s"]), float(row["accuracy"])))
    return [(upload_s + max(t for t, _ in rows), sum(a for _, a in rows) / len(rows))
            for _, rows in sorted(evaluations.items())]


def run(name, nodes, options, steps_on_devices, out):
    """The same number of samples whatever the number of nodes: fewer nodes make more steps."""
    steps = steps_on_devices * DEVICES // nodes
    step_s = SERVER_STEP_S if "--placement" in options else DEVICE_STEP_S
    evaluations = round(EVALUATIONS * steps * step_s / (steps_on_devices * DEVICE_STEP_S))
    epochs = steps_on_devices * DEVICES * BATCH / 60000
    ecl("simulate", *COMMON, *options, "--steps", str(steps), "--eval-every", str(epochs / evaluations),
        "--step-time-s", str(step_s), "--out", str(out))
    summary = json.loads((out / "summary.json").read_text())
    upload_s = 0.0
    if summary["samples_moved"]:  # devices upload side by side, each over its own link
        bytes_per_sample = summary["raw_bytes_moved"] / summary["samples_moved"]
        upload_s = LATENCY_S + largest_share() * bytes_per_sample / BANDWIDTH_BYTES_S
    return name, summary, upload_s, learning_curve(out / "metrics.csv", upload_s)


def table(results):
    print("| architecture | accuracy, mean % | worst node, % | seconds to 80 % | upload, s | training, s "
          "| messages, MB | raw data, MB | samples that left a device |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, summary, upload_s, curve in results:
        reached = next((f"{t:.1f}" for t, accuracy in curve if accuracy >= 80), "never")
        print(f"| {name} | {summary['test_accuracy_mean']:.1f} | {summary['test_accuracy_min']:.1f} | {reached} "
              f"| {upload_s:.1f} | {summary['seconds']:.1f} | {summary['bytes_sent'] / 1e6:.0f} "
              f"| {summary['raw_bytes_moved'] / 1e6:.0f} | {summary['samples_moved']:,} |")


def picture(results, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "ecl"})
    looks = [("-", "", "black"), (":", "x", "grey"), ("--", "o", "black"), ("-.", "s", "black"), ("-", "^", "grey"),
             ("-", "D", "black"), ("--", "v", "grey"), (":", "+", "black")]
    figure, axes = plt.subplots(figsize=(9, 5.5))
    for (name, _, _, curve), (line, marker, colour) in zip(results, looks):
        axes.plot(*zip(*curve), line, marker=marker, color=colour, label=name, linewidth=1.4,
                  markevery=max(1, len(curve) // 8), markersize=5)
    axes.set_xscale("log")
    axes.set_xlabel("virtual seconds since the start, upload of raw samples included (logarithmic)")
    axes.set_ylabel("test accuracy, mean over the nodes (per cent)")
    axes.set_ylim(0, 90)
    axes.grid(color="#dddddd")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.tight_layout()
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        figure.savefig(path.with_suffix(ending), dpi=120, metadata=metadata)  # a rerun gives the same bytes


def main():
    parser = argparse.ArgumentParser(prog="bench/architectures", add_help=False)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs" / "architectures")
    arguments = parser.parse_args()
    if arguments.out.exists():
        sys.exit(f"{arguments.out}: something is there already; choose another --out or remove it")
    arguments.out.mkdir(parents=True)
    results = [run(name, nodes, options, arguments.steps, arguments.out / name.replace(": ", "-").replace(" ", "_"))
               for name, nodes, options in ARCHITECTURES]
    table(results)
    picture(results, arguments.out / "architectures.png")


if __name__ == "__main__":
    main()
