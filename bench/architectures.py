"""Where to train: in the cloud, on each device alone, federated, on edge servers, or fully decentralised; and how long
a device then waits for a prediction, which is made where the model is.

`bench/architectures` starts this. Trains softmax regression on Fashion-MNIST from 32 devices of two classes
each, in the simulator, once per architecture and on one stated network. Prints two Markdown tables; DIR gets the runs,
their accuracy over virtual seconds and the waits as architectures and responses, .png and .svg. All make the same
number of passes over the data.
"""
import argparse
import csv
import json
import pathlib
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ECL = ROOT / "build" / "ecl"
RESPONSES = ROOT / "build" / "bench" / "responses"

# The network and the machines.
DEVICES = 32
LATENCY_S = 0.02
BANDWIDTH_BYTES_S = 1.25e6  # 10 Mbit/s on every link, each way
JITTER = 0.1  # a time t becomes t (1 - JITTER + JITTER E), E exponential with mean 1, as the simulator has it
DEVICE_STEP_S = 0.01
SERVER_STEP_S = DEVICE_STEP_S / 4  # in predictions this machine's core is a server's

# Predictions: where they are made, and how many links that is from the device. A quarter of the devices has each size.
LINKS = {"cloud": 2, "nearest edge server": 1, "device": 0}
REQUEST_BYTES = 28 * 28
ANSWER_BYTES = 10 * 4  # probabilities of the classes
DEVICE_MEMORIES_MB = [0.064, 0.5, 8, 512]
REQUESTS = 100_000  # drawn; nobody waits for others' requests

BATCH = 32
EVALUATIONS = 25  # on devices; servers as often per virtual second

DATA = ["--dataset", "fashion-mnist", "--partition", "classes:2", "--devices", str(DEVICES), "--seed", "1"]
COMMON = DATA + [
    "--model", "softmax", "--lr", "0.02", "--lr-schedule", "linear:0.7", "--batch", str(BATCH), "--local-steps", "8",
    "--exchanges", "1", "--quiet", "--jitter", str(JITTER),
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


def predicts_at(options):
    placement = dict(zip(options, options[1:])).get("--placement", "device")
    return "cloud" if placement == "cloud" else "nearest edge server" if placement.startswith("edge") else "device"


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
        upload_s = LINKS[predicts_at(options)] * LATENCY_S + largest_share() * bytes_per_sample / BANDWIDTH_BYTES_S
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


def memory_of(options, steps):
    """MB that a device needs to predict, and to train: parts of what --dry-run says of the node that holds most."""
    text = ecl("simulate", *COMMON, *options, "--steps", str(steps), "--dry-run")
    parts = ["gradient and momentum ", "activations +", "the batch ", "solver +", "mailboxes ", r"samples +\d+, "]
    model, *training = [float(re.search(part + r"([\d.]+) MB", text)[1]) for part in ["parameters, ", *parts]]
    return model + (REQUEST_BYTES + ANSWER_BYTES) / 1e6, sum(training)


def waits_ms(links, row_us, rng):
    """Milliseconds from question to answer, drawn REQUESTS times; without links it is a device that predicts."""
    ways_s = [LATENCY_S + size / BANDWIDTH_BYTES_S for size in (REQUEST_BYTES, ANSWER_BYTES)] * links
    slower = 1 if links else DEVICE_STEP_S / SERVER_STEP_S

    def wait():
        on_the_way_s = sum(t * (1 - JITTER + JITTER * rng.expovariate(1)) for t in ways_s)
        return 1e3 * on_the_way_s + 1e-3 * slower * rng.choice(row_us)
    return sorted(wait() for _ in range(REQUESTS))


def response(architecture, summary, directory, steps_on_devices):
    name, nodes, options = architecture
    where = predicts_at(options)
    rows = subprocess.run([RESPONSES, directory, "10000"], capture_output=True, text=True, check=True).stdout.split()
    waits = waits_ms(LINKS[where], [float(row) for row in rows], random.Random(1))
    needs = memory_of(options, steps_on_devices * DEVICES // nodes) if where == "device" else (0, 0)
    per_size = DEVICES // len(DEVICE_MEMORIES_MB)
    return {"name": name, "where": where, "accuracy": summary["test_accuracy_mean"],
            "p50": waits[REQUESTS // 2], "p99": waits[REQUESTS * 99 // 100],
            "bytes": (REQUEST_BYTES + ANSWER_BYTES) * (where != "device"),
            "trained_mb": (summary["bytes_sent"] + summary["raw_bytes_moved"]) / 1e6, "needs_mb": needs,
            "too_small": [per_size * sum(memory < need for memory in DEVICE_MEMORIES_MB) for need in needs]}


def response_table(responses):
    print("\n| architecture | predicts | accuracy, mean % | wait, median ms | 99 % of waits, ms | bytes a prediction "
          "| moved in training, MB | a device needs to predict, to train, MB | too small to predict, to train |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for r in responses:
        needs = ", ".join(f"{need:.3f}" for need in r["needs_mb"]) if r["where"] == "device" else ""
        print(f"| {r['name']} | {r['where']} | {r['accuracy']:.1f} | {r['p50']:.3g} | {r['p99']:.3g} | {r['bytes']} "
              f"| {r['trained_mb']:.0f} | {needs} | {r['too_small'][0]}, {r['too_small'][1]} of {DEVICES} |")


def save(figure, path):
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        figure.savefig(path.with_suffix(ending), dpi=120, metadata=metadata)  # a rerun gives the same bytes


def response_picture(responses, path):
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(9, 4.2))
    for place, r in enumerate(reversed(responses)):
        axes.plot([r["p50"], r["p99"]], [place, place], "-", color="black", linewidth=1.4)
        axes.plot(r["p50"], place, "o", color="black", markersize=5)
        axes.plot(r["p99"], place, "|", color="black", markersize=9)
        axes.annotate(f"{r['accuracy']:.1f} % right", (r["p99"], place), (8, 0), textcoords="offset points",
                      va="center")
    axes.set_xscale("log")
    axes.set_xlim(right=max(r["p99"] for r in responses) * 8)
    axes.set_yticks(range(len(responses)), [f"{r['name']}\npredicts: {r['where']}" for r in reversed(responses)],
                    fontsize=8)
    axes.set_xlabel("milliseconds until a device has its prediction: median (dot) to 99 per cent (bar), logarithmic")
    axes.grid(axis="x", color="#dddddd")
    figure.tight_layout()
    save(figure, path)


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
    save(figure, path)


def main():
    parser = argparse.ArgumentParser(prog="bench/architectures", add_help=False)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "runs" / "architectures")
    arguments = parser.parse_args()
    if arguments.out.exists():
        sys.exit(f"{arguments.out}: something is there already; choose another --out or remove it")
    arguments.out.mkdir(parents=True)
    directories = [arguments.out / name.replace(": ", "-").replace(" ", "_") for name, _, _ in ARCHITECTURES]
    results = [run(*architecture, arguments.steps, directory)
               for architecture, directory in zip(ARCHITECTURES, directories)]
    table(results)
    picture(results, arguments.out / "architectures.png")
    responses = [response(architecture, summary, directory, arguments.steps)
                 for architecture, (_, summary, *_), directory in zip(ARCHITECTURES, results, directories)]
    response_table(responses)
    response_picture(responses, arguments.out / "responses.png")


if __name__ == "__main__":
    main()
