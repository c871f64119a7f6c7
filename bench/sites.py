"""Tables that real sites hold, one csv file a site: central training, ecl, gossip and each site alone.

`bench/sites` starts this. Rows are divided by a column that says where they come from; the sites with most rows take
part. Three times: test rows are drawn at each site, a quarter of its rows or of its whole groups; each method chooses
its learning rate and weight decay in the simulator, by its loss on a quarter of the other rows, drawn alike; then it
trains on all of those, over mpirun (the next best, should that diverge), and is tested, each site on its own rows, and
on the rows of the sites that take no part.
"""
import argparse
import collections
import concurrent.futures
import csv
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
SITES, DRAWS = 12, 3
RATES = {"classes": ("0.01", "0.03", "0.1", "0.3", "1"), "numbers": ("0.001", "0.003", "0.01", "0.03", "0.1")}
DECAYS = ("0", "0.003", "0.03", "0.1")


class Data(NamedTuple):
    name: str
    package: str  # of R
    table: str  # in R
    site: str  # the column that says where a row comes from
    group: Optional[str]  # what goes to the test as a whole; None: rows
    label: str
    numbers: list  # features, by column
    categories: list  # the same, a feature for each text
    measures: list  # of the result; by the first one methods are paired and the worst site is found
    epochs: int
    model: list = ["--model", "softmax"]
    logarithm: bool = False  # of the label is learned; measured is the label


class Method(NamedTuple):
    name: str
    solver: str
    told: bool = False  # the site is a feature, too


METHODS = [Method("central", "local"), Method("ecl", "ecl"), Method("dpsgd", "dpsgd"), Method("local", "local"),
           Method("central, told the site", "local", True), Method("ecl, told the site", "ecl", True),
           Method("dpsgd, told the site", "dpsgd", True)]
BASELINES = {"classes": ["most frequent class", "that of each site"], "numbers": ["mean", "mean of each site"]}
MEASURES = {"accuracy": ("accuracy, %", "z.1f"), "balanced_accuracy": ("balanced accuracy, %", "z.1f"),
            "macro_f1": ("macro F1", "z.3f"), "auc": ("AUC", "z.3f"), "log_loss": ("log loss", "z.3f"),
            "rmse": ("RMSE, $", "z,.0f"), "mae": ("MAE, $", "z,.0f"), "r2": ("R²", "z.3f")}

HOUSES = Data(
    "houses", "modeldata", "subset(transform(ames, Log_Price = log(Sale_Price)), Gr_Liv_Area <= 4000)",
    "Neighborhood", None, "Sale_Price",
    ["Lot_Area", "Year_Built", "Year_Remod_Add", "Year_Sold", "Total_Bsmt_SF", "First_Flr_SF", "Second_Flr_SF",
     "Gr_Liv_Area", "Full_Bath", "Half_Bath", "Bedroom_AbvGr", "TotRms_AbvGrd", "Fireplaces", "Garage_Cars",
     "Garage_Area"],
    ["Bldg_Type", "Central_Air", "Foundation", "Heating_QC", "Overall_Cond"],
    ["rmse", "mae", "r2"], 100, ["--model", "linear", "--loss", "mse"])
DATA = [
    Data("chemistry", "mlmRev", 'transform(Chem97, grade = strsplit("FEDCBA", "")[[1]][score / 2 + 1])', "lea",
         "school", "grade", ["gcsescore", "age"], ["gender"], ["accuracy", "macro_f1", "log_loss"], 20),
    Data("contraception", "mlmRev", "transform(Contraception, age_squared = age^2)", "district", None, "use",
         ["age", "age_squared"], ["livch", "urban"], ["accuracy", "balanced_accuracy", "auc", "log_loss"], 100),
    HOUSES,
    HOUSES._replace(name="houses-log", logarithm=True),
    HOUSES._replace(name="houses-mlp", model=["--model", "mlp:32", "--loss", "mse"]),
]


def kind(data):
    """Of label."""
    return "numbers" if "rmse" in data.measures else "classes"


# --- from a table to files ---

def rows_of(data, folder):
    """The table, as Debian's R package has it."""
    path = folder / "table.csv"
    subprocess.run(["Rscript", "--vanilla", "-e", f'data(list = c("Chem97", "Contraception", "ames"), package = '
                    f'"{data.package}"); write.csv({data.table}, "{path}", row.names = FALSE)'],
                   check=True, stderr=subprocess.DEVNULL)
    return table(path)


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path, columns, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


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


def write_files(data, rows, sites, draw, folder):
    """Rows to train and to test on as {part}-{node}.csv of each site and {part}-all.csv. {part: the sites' rows}"""
    folder.mkdir(parents=True)
    parts = {"site": [], "test": [], "fit": [], "check": []}  # fit and check: to choose by; together they are site
    for site in sites:
        train, test = take_quarter([row for row in rows if row[data.site] == site], data.group, draw)
        for members, by_site in zip((train, test, *take_quarter(train, data.group, draw)), parts.values()):
            by_site.append(members)
    for part, by_site in parts.items():
        for end, members in [*enumerate(by_site), ("all", sum(by_site, []))]:
            write_table(folder / f"{part}-{end}.csv", rows[0], members)
    return parts


# --- training ---

class Diverged(Exception):
    pass


class Draw(NamedTuple):
    ecl: str
    mode: str
    data: Data
    seed: int
    files: pathlib.Path
    parts: dict
    others: list  # rows of the sites that take no part


def call(command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode == 4:
        raise Diverged
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.returncode}: {result.stderr.strip()}")


def train(draw, method, choice, rehearsal, out):
    """[(directory, summary)] of the run; of local, of each site's own. A rehearsal is simulated."""
    data = draw.data
    launcher = ["mpirun", "-n", SITES, draw.ecl, "train"]
    if rehearsal or method.solver == "local":
        launcher = [draw.ecl, "simulate", "--nodes", 1 if method.solver == "local" else SITES]
    learn, test = (draw.files / part for part in (("fit", "check") if rehearsal else ("site", "test")))
    categories = [*data.categories, *([data.site] if method.told else [])]
    label = "Log_Price" if data.logarithm else data.label
    options = [*data.model, "--solver", method.solver, "--dataset", f"csv:label={label},features="
               f"{'|'.join([*data.numbers, *categories])},categorical={'|'.join(categories)}",
               *(["--exchanges", 4] if method.solver == "dpsgd" else []),  # as many as ecl's
               "--epochs", data.epochs, "--batch", 16, "--local-steps", 4, "--lr", choice[0], "--weight-decay",
               choice[1], "--seed", draw.seed, "--mode", draw.mode, "--eval-every", 0, "--quiet"]
    runs = []
    for who in range(SITES) if method.name == "local" else ["all" if method.solver == "local" else "{node}"]:
        directory = pathlib.Path(f"{out}-{len(runs)}")
        call([*launcher, *options, "--data", f"{learn}-{who}.csv", "--test", f"{test}-{who}.csv", "--out", directory])
        runs.append((directory, json.loads((directory / "summary.json").read_text())))
    return runs


def choices_by_loss(draw, method):
    """The grid, best first: by the loss on the rows kept apart for that."""
    def loss(choice):
        try:
            runs = train(draw, method, choice, True, draw.files / f"choice-{method.name}-{'-'.join(choice)}")
        except Diverged:
            return math.inf
        return sum(run["test_samples"] * (run.get("test_log_loss") or run["test_rmse"] ** 2) for _, run in runs)

    grid = [(rate, decay) for rate in RATES[kind(draw.data)] for decay in DECAYS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        return [choice for _, choice in sorted(zip(threads.map(loss, grid), grid), key=lambda pair: pair[0])]


def train_best(draw, method):
    """(choice, runs): the best that does not diverge over mpirun, with all rows that are not for the test."""
    for choice in choices_by_loss(draw, method):
        try:
            return choice, train(draw, method, choice, False, draw.files / f"{method.name}-{'-'.join(choice)}")
        except Diverged:
            continue
    sys.exit(f"{draw.files}: {method.name} diverges with every choice")


# --- how good it is ---

class Score(NamedTuple):
    over_all: dict  # the measures, over all sites' test rows
    by_site: list  # the same of each site's
    sent: float = 0  # MB
    unseen: Optional[float] = None  # the first measure, over the rows of the sites that take no part


def evaluate(draw, run, test):
    """Of the model of a run on a file: the measures, and the scores of the second of two classes."""
    data = draw.data
    out = test.with_name(f"{run.name}-on-{test.stem}")
    if data.logarithm or "auc" in data.measures:
        call([draw.ecl, "predict", run, "--data", test, "--out", f"{out}.csv"])
        labels, predictions = [row[data.label] for row in table(test)], table(f"{out}.csv")
    if data.logarithm:
        return of_numbers([float(label) for label in labels], [math.exp(float(p["prediction"])) for p in predictions])
    call([draw.ecl, "evaluate", run, "--data", test, "--out", f"{out}.json"])
    found = json.loads(pathlib.Path(f"{out}.json").read_text())
    if "confusion" in found:
        found["confusion"] = {(label, prediction): count for label, row in zip(found["classes"], found["confusion"])
                              for prediction, count in zip(found["classes"], row)}
    if "auc" in data.measures:
        found["scores"] = [(float(p[f"probability of {found['classes'][1]}"]), label == found["classes"][1])
                           for label, p in zip(labels, predictions)]
    return found


def of_numbers(labels, predictions):
    errors = [prediction - label for label, prediction in zip(labels, predictions)]
    return {"samples": len(errors), "rmse": math.sqrt(statistics.fmean(error ** 2 for error in errors)),
            "mae": statistics.fmean(map(abs, errors))}


def of_shares(seen, test):
    """Without a model: predicted are the shares of the classes that were seen, one more of each."""
    most, all_seen = max(seen, key=seen.get), sum(seen.values())
    last = max(seen)
    return {"samples": len(test), "accuracy": 100 * test.count(most) / len(test),
            "log_loss": statistics.fmean(-math.log(seen[label] / all_seen) for label in test),
            "confusion": collections.Counter((label, most) for label in test),
            "scores": [(seen[last] / all_seen, label == last) for label in test]}


def together(data, sites, test_rows):
    """The measures over all sites' rows, from each site's."""
    def mean(values):
        return sum(site["samples"] * value for site, value in zip(sites, values)) / sum(s["samples"] for s in sites)

    if "rmse" in sites[0]:
        square = mean([site["rmse"] ** 2 for site in sites])
        labels = [float(row[data.label]) for row in sum(test_rows, [])]
        return {"rmse": math.sqrt(square), "mae": mean([site["mae"] for site in sites]),
                "r2": 1 - square / statistics.pvariance(labels)}
    found = {name: mean([site[name] for site in sites]) for name in ("accuracy", "log_loss")}
    confusion = sum((collections.Counter(site["confusion"]) for site in sites), collections.Counter())
    labels, predictions = collections.Counter(), collections.Counter()
    for (label, prediction), count in confusion.items():
        labels[label] += count
        predictions[prediction] += count
    hits = {label: confusion[label, label] for label in labels}
    found["balanced_accuracy"] = statistics.fmean(100 * hits[label] / labels[label] for label in labels)
    found["macro_f1"] = statistics.fmean(2 * hits[label] / (labels[label] + predictions[label]) for label in labels)
    if "auc" in data.measures:
        found["auc"] = auc(sum((site["scores"] for site in sites), []))
    return found


def auc(scores):
    """Of pairs (score, whether it is of the second class)."""
    yes, no = ([score for score, second in scores if second == which] for which in (True, False))
    return statistics.fmean((a > b) + (a == b) / 2 for a in yes for b in no)


def score(draw, runs, told):
    """Of one run, or of a run a site: each site's own test rows are predicted; those of the other sites by all, if they
    are not told the site."""
    tests = [draw.files / f"test-{site}.csv" for site in range(SITES)]
    by_site = [evaluate(draw, runs[site if len(runs) > 1 else 0][0], test) for site, test in enumerate(tests)]
    if len(runs) > 1 or draw.data.logarithm:
        over_all = together(draw.data, by_site, draw.parts["test"])
    else:
        over_all = evaluate(draw, runs[0][0], draw.files / "test-all.csv")
    others = draw.files.parent / "others.csv"
    unseen = None if told else statistics.fmean(evaluate(draw, run, others)[draw.data.measures[0]] for run, _ in runs)
    return Score(over_all, by_site, runs[0][1]["bytes_sent"] / 1e6, unseen)


def without_model(draw, by_site):
    """The most frequent class and the classes' shares, or the mean: of all training rows, or of each site's."""
    data = draw.data
    seen, test = ([[row[data.label] for row in rows] for rows in draw.parts[part]] for part in ("site", "test"))
    used = seen if by_site else [sum(seen, [])] * SITES
    if kind(data) == "numbers":
        means = [statistics.fmean(map(float, labels)) for labels in used]
        scores = [of_numbers([float(label) for label in labels], [mean] * len(labels))
                  for mean, labels in zip(means, test)]
        unseen = of_numbers([float(row[data.label]) for row in draw.others], [means[0]] * len(draw.others))["rmse"]
    else:
        classes = collections.Counter(sorted(set(sum(seen, []))))  # of equals the first is the most frequent
        scores = [of_shares(classes + collections.Counter(labels), tests) for labels, tests in zip(used, test)]
        unseen = of_shares(classes + collections.Counter(used[0]), [row[data.label] for row in draw.others])["accuracy"]
    return Score(together(data, scores, draw.parts["test"]), scores, unseen=None if by_site else unseen)


# --- one table ---

def compare(arguments, data, folder):
    folder.mkdir(parents=True)
    rows = rows_of(data, folder)
    sites = [site for site, _ in collections.Counter(row[data.site] for row in rows).most_common(SITES)]
    others = [row for row in rows if row[data.site] not in sites]
    rows = [row for row in rows if row[data.site] in sites]
    write_table(folder / "others.csv", rows[0], others)
    scores, choices = collections.defaultdict(list), collections.defaultdict(list)
    for seed in range(1, arguments.draws + 1):
        files, dice = folder / f"draw{seed}", random.Random(f"{data.package} {data.site} {seed}")
        draw = Draw(arguments.ecl, arguments.mode, data, seed, files,
                    write_files(data, rows, sites, dice, files), others)
        for method in METHODS:
            choice, runs = train_best(draw, method)
            scores[method.name].append(score(draw, runs, method.told))
            choices[method.name].append(" / ".join(choice))
        for by_site, name in enumerate(BASELINES[kind(data)]):
            scores[name].append(without_model(draw, by_site))
    tests = sum(map(len, draw.parts["test"]))
    print(f"`{data.name}`: {len(rows):,} rows of {SITES} sites, {tests:,} of them for the test; {len(others):,} rows "
          "of other sites\n")
    method_table(data, scores, choices)
    site_table(data, rows, sites, scores)
    sys.stdout.flush()


def spread(values, form):
    deviation = f" ± {statistics.stdev(values):{form.lstrip('+')}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{deviation}"


def of_sites(draws, measure):
    """Means over the draws, by site."""
    return [statistics.fmean(values) for values in zip(*([site[measure] for site in draw.by_site] for draw in draws))]


def method_table(data, scores, choices):
    first = data.measures[0]
    worst = max if first == "rmse" else min
    names = [MEASURES[measure][0] for measure in data.measures]
    print("|", " | ".join(["", names[0], "less central's", *names[1:], "worst site", "sites not seen", "MB sent",
                           "rate / weight decay"]), "|")
    print(f"|---|{'---:|' * (len(names) + 5)}")
    for name, draws in scores.items():
        cells = [spread([draw.over_all[measure] for draw in draws], MEASURES[measure][1]) for measure in data.measures]
        form = MEASURES[first][1]
        less = [draw.over_all[first] - central.over_all[first] for draw, central in zip(draws, scores["central"])]
        cells[1:1] = ["" if name == "central" else spread(less, f"+{form}")]
        sent = statistics.fmean(draw.sent for draw in draws)
        unseen = [draw.unseen for draw in draws if draw.unseen is not None]
        print("|", " | ".join([name, *cells, f"{worst(of_sites(draws, first)):{form}}",
                               spread(unseen, form) if unseen else "", f"{sent:.1f}" if sent else "",
                               ", ".join(choices[name])]), "|")
    print()


def site_table(data, rows, sites, scores):
    """The first of the measures, by site, beside what the site's labels are."""
    classes = sorted({row[data.label] for row in rows}) if data.measures[0] == "accuracy" else []
    names = [name for name in scores if "dpsgd, " not in name]
    print("|", " | ".join([data.site, "rows", f"{', '.join(classes)}: %" if classes else "mean, $", *names]), "|")
    print(f"|---|{'---:|' * (len(names) + 2)}")
    columns = [of_sites(scores[name], data.measures[0]) for name in names]
    for site, *values in zip(sites, *columns):
        labels = [row[data.label] for row in rows if row[data.site] == site]
        held = (", ".join(f"{100 * labels.count(name) / len(labels):.0f}" for name in classes) if classes
                else f"{statistics.fmean(map(float, labels)):,.0f}")
        print("|", " | ".join([site.replace("_", " "), str(len(labels)), held,
                               *(f"{value:{MEASURES[data.measures[0]][1]}}" for value in values)]), "|")
    print()


def main():
    parser = argparse.ArgumentParser(prog="bench/sites", add_help=False)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--ecl", default=str(ROOT / "build" / "ecl"))
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--mode", choices=["lock-step", "async"], default="lock-step")
    parser.add_argument("--data", action="append", choices=[data.name for data in DATA])
    arguments = parser.parse_args()
    if arguments.out and arguments.out.exists():
        sys.exit(f"{arguments.out}: something is there already; choose another --out or remove it")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or pathlib.Path(scratch)
        for data in DATA:
            if not arguments.data or data.name in arguments.data:
                compare(arguments, data, folder / data.name)


if __name__ == "__main__":
    main()
