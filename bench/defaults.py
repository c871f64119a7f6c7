#!/usr/bin/env python3
"""bench/defaults.py [ECL ...]: how good the tool's defaults are, as a row of solvers/README.md's table for each binary.

Six short runs of `ecl simulate` with hardly an option given; accuracy in per cent, mean / worst node. Half a minute.
"""
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FASHION = "--dataset fashion-mnist --partition classes:2"
RUNS = [
    "--partition classes:2",
    "--partition classes:2 --mode lock-step",
    "--dataset csv:label=label,group=site,test-by=row --data {csv} --partition by-column:site",
    FASHION,
    FASHION + " --model mlp",
    "--nodes 64 --epochs 2",
]


def write_sites(path):
    """5,000 rows of 8 sites: ten features whose means differ from site to site, three classes by noisy scores."""
    draw = random.Random(5)
    rows = []
    for site in range(8):
        means = [draw.gauss(0, 1) for _ in range(10)]
        for _ in range(625):
            x = [draw.gauss(mean, 1) for mean in means]
            scores = [x[0] + 0.5 * x[1] - x[2] + 0.3 * x[3] * x[4], x[5] + 0.5 * x[6] - x[0],
                      x[7] - x[8] + 0.4 * x[9] * x[1] + 0.7]
            scores = [score + draw.gauss(0, 0.7) for score in scores]
            rows.append((site, x, "abc"[scores.index(max(scores))]))
    draw.shuffle(rows)
    with open(path, "w", encoding="ascii") as file:
        print("site," + ",".join(f"x{j}" for j in range(10)) + ",label", file=file)
        for site, x, label in rows:
            print(f"{site}," + ",".join(f"{value:.4f}" for value in x) + f",{label}", file=file)


def accuracy(ecl, options):
    command = [ecl, "simulate", "--quiet", "--eval-every", "0", *options.split()]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    mean, worst = re.search(r"mean ([\d.]+) %, worst node ([\d.]+) %", run.stdout).groups()
    return f"{float(mean):.1f} / {float(worst):.1f}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "sites.csv"
        write_sites(csv)
        for ecl in sys.argv[1:] or [str(ROOT / "build" / "ecl")]:
            cells = [accuracy(ecl, options.format(csv=csv)) for options in RUNS]
            print("| " + " | ".join([ecl, *cells]) + " |")


if __name__ == "__main__":
    main()
