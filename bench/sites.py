"""Data that real sites hold, one csv file a site: central training, ecl, gossip and each site alone, over mpirun.

`bench/sites` starts this. Rows are divided by a column that says where they come from; the sites with most rows take
part. Three times: test rows are drawn at each site, a quarter of its rows or of its whole groups; each method chooses
its learning rate and weight decay by its accuracy on a quarter of the other rows, drawn alike; then it trains on all of
those and is tested, each site on its own rows.
"""
import argparse
import array
import collections
import csv
import json
import math
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
from typing import Callable, NamedTuple, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
SITES, DRAWS = 12, 3
METHODS = ["central", "ecl", "dpsgd", "local"]
GRID = [(rate, decay) for rate in ("0.03", "0.1", "0.3", "1") for decay in ("0", "0.003", "0.03")]
OPTIONS = ["--model", "softmax", "--batch", "16", "--local-steps", "4", "--exchanges", "1", "--topology", "ring",
           "--eval-every", "0", "--quiet"]
RAREST = 20  # a level of a category that fewer rows have is no feature


class Data(NamedTuple):
    name: str
    package: str  # of R
    table: str
    site: str  # the column that says where a row comes from
    group: Optional[str]  # what goes to the test as a whole; None: rows
    label: Callable[[dict], str]  # of a row
    numbers: dict  # features: name, and what makes it of a row
    categories: list  # columns of text, coded one-hot
    epochs: int


def column(name):
    return lambda row: float(row[name])


def grade(row):
    return "FEDCBA"[int(row["score"]) // 2]


def price(row):
    """In thousand dollars: four classes of about as many houses each."""
    dollars = int(row["Sale_Price"])
    return "0-130" if dollars < 130000 else "130-160" if dollars < 160000 else "160-210" if dollars < 210000 else "210-"


HOUSE = ["Lot_Area", "Year_Built", "Year_Remod_Add", "Year_Sold", "Total_Bsmt_SF", "First_Flr_SF", "Second_Flr_SF",
         "Gr_Liv_Area", "Full_Bath", "Half_Bath", "Bedroom_AbvGr", "TotRms_AbvGrd", "Fireplaces", "Garage_Cars",
         "Garage_Area"]
DATA = [
    Data("chemistry", "mlmRev", "Chem97", "lea", "school", grade,
         {"gcse": column("gcsescore"), "age": column("age")}, ["gender"], 20),
    Data("contraception", "mlmRev", "Contraception", "district", None, lambda row: row["use"],
         {"age": column("age"), "age squared": lambda row: float(row["age"]) ** 2}, ["livch", "urban"], 100),
    Data("houses", "modeldata", "ames", "Neighborhood", None, price, {name: column(name) for name in HOUSE},
         ["Bldg_Type", "Central_Air", "Foundation", "Heating_QC", "Overall_Cond"], 60),
]


# --- from a table to a file a site ---

def rows_of(data, folder):
    """The table, as Debian's R package has it."""
    path = folder / f"{data.table}.csv"
    subprocess.run(["Rscript", "--vanilla", "-e", f'data({data.table}, package = "{data.package}"); '
                    f'write.csv({data.table}, "{path}", row.names = FALSE)'], check=True)
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def take_quarter(rows, group, draw):
    """(the others, whole groups with a quarter of the rows or a little more)"""
    groups = collections.defaultdict(list)
    for number, row in enumerate(rows):
        groups[row[group] if group else number].append(row)
    names = list(groups)
    draw.shuffle(names)
    others, taken = [], []
    for name in names:
        (taken if 4 * len(taken) < len(rows) else others).extend(groups[name])
    return others, taken


def coder(data, rows):
    """(names of the columns, what makes a row's cells): numbers as they are, categories one-hot, the label last."""
    levels = [(name, level) for name in data.categories
              for level, count in sorted(collections.Counter(row[name] for row in rows).items()) if count >= RAREST]
    names = [*data.numbers, *(f"{name}={level}" for name, level in levels), "label"]

    def cells(row):
        return [*(make(row) for make in data.numbers.values()), *(int(row[name] == level) for name, level in levels),
                data.label(row)]

    return names, cells


def write_files(names, cells, data, rows, sites, draw, folder):
    """Rows to train and to test on as {part}{node}.csv of each site and {part}-all.csv. {part: the sites' rows}"""
    folder.mkdir(parents=True)
    parts = {"site": [], "test": [], "fit": [], "check": []}  # fit and check: to choose by; together they are site
    for site in sites:
        train, test = take_quarter([row for row in rows if row[data.site] == site], data.group, draw)
        fit, check = take_quarter(train, data.group, draw)
        for members, by_site in zip((train, test, fit, check), parts.values()):
            by_site.append([cells(row) for row in members])
    for part, by_site in parts.items():
        for end, members in [*enumerate(by_site), ("-all", sum(by_site, []))]:
            with open(folder / f"{part}{end}.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([names, *members])
    return parts


# --- training ---

class Score(NamedTuple):
    hits: list  # per cent, by site
    accuracy: float
    loss: float


def weighted(hits, losses, weights):
    def mean(values):
        return sum(value * weight for value, weight in zip(values, weights)) / sum(weights)
    return Score(hits, mean(hits), mean(losses))


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def train(ecl, data, method, choice, seed, files, parts, out):
    """The models that the sites end with, each on its own test rows; central: one model on all. None: it diverged."""
    central = method == "central"
    learn, test = (f"{files}/{part}{'-all' if central else '{node}'}.csv" for part in parts)
    launcher = [] if central else ["mpirun", "-n", str(SITES)]
    command = [*launcher, ecl, "train", *OPTIONS, "--dataset", "csv:label=label", "--data", learn, "--test", test,
               "--solver", "local" if central else method, "--epochs", str(data.epochs), "--lr", choice[0],
               "--weight-decay", choice[1], "--seed", str(seed), "--out", str(out)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 4:
        return None
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stderr.strip()}")
    last = {int(row["node"]): row for row in table(out / "metrics.csv")}
    if central:
        return Score([], float(last[0]["accuracy"]), float(last[0]["loss"]))
    sites = table(out / "sites.csv")
    return weighted([float(site["accuracy_own"]) for site in sites], [float(last[n]["loss"]) for n in range(SITES)],
                    [int(site["test_samples"]) for site in sites])


def best_choice(ecl, data, method, seed, files):
    """Of the grid, by accuracy on the rows kept apart for that; of equals, by log loss."""
    scores = {}
    for choice in GRID:
        out = files / f"choice-{method}-{'-'.join(choice)}"
        score = train(ecl, data, method, choice, seed, files, ("fit", "check"), out)
        scores[choice] = (-score.accuracy, score.loss) if score else (0, math.inf)
    return min(scores, key=scores.get)


class Softmax:
    """The model that a run left, to predict with: of one model on one test set ecl tells no accuracy by site."""

    def __init__(self, run):
        content = (run / "model" / "model.safetensors").read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        arrays = json.loads(content[8:start])
        numbers = {name: array.array("f", content[slice(*(start + at for at in arrays[name]["data_offsets"]))])
                   for name in ("linear.weight", "linear.bias")}
        inputs = json.loads((run / "model" / "model.json").read_text())
        self.mean, self.deviation, self.classes = inputs["mean"], inputs["deviation"], inputs["classes"]
        width = len(self.mean)
        self.weights = [numbers["linear.weight"][c * width:(c + 1) * width] for c in range(len(self.classes))]
        self.biases = numbers["linear.bias"]

    def __call__(self, cells):
        x = [(cell - mean) / deviation for cell, mean, deviation in zip(cells, self.mean, self.deviation)]
        scores = [b + sum(w_j * x_j for w_j, x_j in zip(w, x)) for w, b in zip(self.weights, self.biases)]
        return self.classes[scores.index(max(scores))]


def per_cent_right(predict, rows):
    return 100 * statistics.fmean(predict(row[:-1]) == row[-1] for row in rows)


def by_shares(train_rows, test_rows):
    """Without a model: each site predicts the classes' shares of its list of training rows, one more of each class."""
    classes = sorted({row[-1] for rows in train_rows for row in rows})
    hits, losses = [], []
    for seen, test in zip(train_rows, test_rows):
        counts = collections.Counter(classes) + collections.Counter(row[-1] for row in seen)
        most = max(counts, key=counts.get)
        hits.append(per_cent_right(lambda _: most, test))
        losses.append(statistics.fmean(-math.log(counts[row[-1]] / sum(counts.values())) for row in test))
    return weighted(hits, losses, [len(rows) for rows in test_rows])


# --- one data set ---

def compare(ecl, data, folder):
    rows = rows_of(data, folder)
    sites = [site for site, _ in collections.Counter(row[data.site] for row in rows).most_common(SITES)]
    rows = [row for row in rows if row[data.site] in sites]
    names, cells = coder(data, rows)
    scores, choices = collections.defaultdict(list), collections.defaultdict(list)
    for seed in range(1, DRAWS + 1):
        files = folder / data.name / f"draw{seed}"
        parts = write_files(names, cells, data, rows, sites, random.Random(f"{data.name} {seed}"), files)
        for method in METHODS:
            choice = best_choice(ecl, data, method, seed, files)
            score = train(ecl, data, method, choice, seed, files, ("site", "test"), files / method)
            if score is None:
                sys.exit(f"{files / method}: diverged with {choice}, which was chosen")
            if method == "central":
                model = Softmax(files / method)
                score = score._replace(hits=[per_cent_right(model, test) for test in parts["test"]])
            scores[method].append(score)
            choices[method].append(" / ".join(choice))
        scores["most frequent class"].append(by_shares([sum(parts["site"], [])] * SITES, parts["test"]))
        scores["the same of each site"].append(by_shares(parts["site"], parts["test"]))
    print(f"{data.name}: {len(rows):,} rows of {SITES} sites, {sum(map(len, parts['test'])):,} of them for the test; "
          f"{len(names) - 1} features, {len({data.label(row) for row in rows})} classes\n")
    method_table(scores, choices)
    site_table(data, rows, sites, scores)
    sys.stdout.flush()


def spread(values, form):
    return f"{statistics.fmean(values):{form}} ± {statistics.stdev(values):{form.lstrip('+')}}"


def by_site(draws):
    """Mean accuracy over the draws, by site."""
    return [statistics.fmean(values) for values in zip(*(score.hits for score in draws))]


def method_table(scores, choices):
    print("| | accuracy, % | less central's | log loss | worst site, % | rate / weight decay |")
    print("|---|---:|---:|---:|---:|---:|")
    for method, draws in scores.items():
        less = [score.accuracy - central.accuracy for score, central in zip(draws, scores["central"])]
        print(f"| {method} | {spread([score.accuracy for score in draws], '.1f')} "
              f"| {'' if method == 'central' else spread(less, '+.1f')} "
              f"| {spread([score.loss for score in draws], '.3f')} | {min(by_site(draws)):.1f} "
              f"| {', '.join(choices[method])} |")
    print()


def site_table(data, rows, sites, scores):
    classes = sorted({data.label(row) for row in rows})
    print(f"| {data.site} | rows | {', '.join(classes)}: % | {' | '.join(METHODS)} | its most frequent class |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    columns = [by_site(scores[name]) for name in [*METHODS, "the same of each site"]]
    for site, *accuracies in zip(sites, *columns):
        labels = [data.label(row) for row in rows if row[data.site] == site]
        shares = ", ".join(f"{100 * labels.count(name) / len(labels):.0f}" for name in classes)
        cells = [site.replace("_", " "), str(len(labels)), shares, *(f"{accuracy:.1f}" for accuracy in accuracies)]
        print(f"| {' | '.join(cells)} |")
    print()


def main():
    parser = argparse.ArgumentParser(prog="bench/sites", add_help=False)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--ecl", default=str(ROOT / "build" / "ecl"))
    arguments = parser.parse_args()
    if arguments.out and arguments.out.exists():
        sys.exit(f"{arguments.out}: something is there already; choose another --out or remove it")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for data in DATA:
            compare(arguments.ecl, data, folder)


if __name__ == "__main__":
    main()
