"""What the runs of an experiment say: table.md, results.csv, tuning.json. Nothing here depends on the wall clock."""
import csv
import io
import itertools
import json
import math
import statistics

from runner import build_of

MEASURES = (("Test accuracy in per cent, mean over the nodes", "test_accuracy_mean"),
            ("Worst node", "test_accuracy_min"), ("The average model", "test_accuracy_consensus"))
COLUMNS = ("verdict", "test_accuracy_mean", "test_accuracy_min", "test_accuracy_consensus", "test_loss_consensus",
           "consensus_error", "bytes_sent", "messages_sent", "seconds", "steps")
WIDEST = 6  # columns of one table


def evaluations(csv_text):
    """metrics.csv as a list of (epoch, mean accuracy, bytes sent by all nodes, mean time), one an evaluation."""
    rows = list(csv.DictReader(io.StringIO(csv_text)))
    nodes = len({row["node"] for row in rows})
    by_epoch = {}
    for row in rows:
        by_epoch.setdefault(float(row["epoch"]), []).append(row)
    points = []
    for epoch, group in sorted(by_epoch.items()):
        if len(group) == nodes:  # else the run ended in the middle of it
            accuracy, sent, seconds = (sum(float(row[key]) for row in group)
                                       for key in ("accuracy", "bytes_sent", "time_s"))
            points.append((epoch, accuracy / nodes, sent, seconds / nodes))
    return points


class Report:
    """Reads the finished runs of `cells`; `jobs` maps (label, case) to its jobs, one for each seed."""

    def __init__(self, experiment, runner, tuning, cells, jobs):
        self.experiment, self.runner, self.tuning, self.cells, self.jobs = experiment, runner, tuning, cells, jobs
        self.solvers = list(dict.fromkeys(solver.label for solver, _ in cells))
        self.references = {solver.label for solver, _ in cells if solver.reference}
        self.winners = {(solver.label, case): tuning.winner(solver, case) for solver, case in cells}
        self.edges = {(solver.label, case) for solver, case in cells if tuning.at_edge(solver, case)}

    def results(self, cell):
        return [self.runner.result(job) for job in self.jobs[cell]]

    def curves(self, cell):
        """One list of evaluations for each seed that did not diverge."""
        return [evaluations((self.runner.path(job) / "metrics.csv").read_text()) for job in self.jobs[cell]
                if self.runner.result(job)["verdict"] != "diverged"]

    def mean(self, cell, key):
        """None if a seed diverged, the solver does not run in this case, or there is no such figure."""
        results = self.results(cell) if cell in self.jobs else []
        if not results or any(result["verdict"] == "diverged" or result[key] is None for result in results):
            return None
        return statistics.fmean(result[key] for result in results)

    def builds(self):
        """Of the tool that made the runs: those behind the tables, and the trials."""
        trials = [jobs for cell in self.cells for _, jobs in self.tuning.trials(*cell)]
        return {build_of(self.runner.path(job)) for jobs in [*self.jobs.values(), *trials] for job in jobs}

    def markdown(self):
        lines = [f"# {self.experiment.title}", "", *self._preface(), ""]
        for table in self.experiment.tables:
            cases = [case for case in table.cases() if any(case == other for _, other in self.cells)]
            lines += self._tables(table, cases)
        return "\n".join(lines + ["## Tuned parameters", ""] + self._winners()) + "\n"

    def _preface(self):
        """How the figures came about, and how to read them."""
        experiment, join = self.experiment, lambda values: ", ".join(f"{value:g}" for value in values)
        options = ", ".join(f"{key} {value}" for key, value in experiment.options.items())
        refined = f", then {len(experiment.refine)} in each case with the learning rate times {join(experiment.refine)}"
        yield f"`scripts/bench {experiment.name}`: {options}."
        yield f"Mean ± standard deviation over seeds {join(experiment.seeds)}."
        yield (f"Trials for each solver: {experiment.trials} on tuning seed {join(experiment.tuning_seeds)}"
               f"{refined if len(experiment.refine) > 1 else ''}, judged by `{experiment.metric}`.")
        yield ("**Bold**: best of a column, references (in brackets) apart. `edge`: with all else equal, no larger or "
               "no smaller learning rate than the tuned one was tried.")
        yield "`-`: the solver does not run there, or there is no such figure."
        builds = self.builds()
        if len(builds) > 1 or "" in builds:
            yield "**Several builds of the tool made these runs, or nobody knows which**: they need not compare."

    def _tables(self, table, cases):
        """All measures of a [cases] section, cut along its first axes until no table is too wide."""
        lines = []
        axes = [axis for axis, values in table.axes.items() if len({case.options()[axis] for case in cases}) > 1]
        cut = []
        while axes and len(cases) / math.prod(len({c.options()[axis] for c in cases}) for axis in cut) > WIDEST:
            cut.append(axes.pop(0))
        fixed = [axis for axis in table.axes if axis not in axes]
        for values, group in itertools.groupby(cases, key=lambda case: [case.options()[axis] for axis in fixed]):
            heading = ", ".join(f"{axis} {value}" for axis, value in zip(fixed, values))
            lines += [f"## {', '.join(filter(None, (table.name, heading))) or 'Results'}", ""]
            lines += self._measures(list(group), axes)
        return lines

    def _measures(self, cases, axes):
        """One table a measure; its columns are named by the values of `axes`."""
        corner = "solver" + (f" \\ {' '.join(axes)}" if axes else "")
        head = [corner] + [" ".join(case.options()[axis] for axis in axes) or "all" for case in cases]
        measures = [(title, lambda label, case, key=key: self._accuracy(label, case, key)) for title, key in MEASURES]
        measures.append(("Sent by all nodes in MB, and seconds", self._cost))
        if self.experiment.target:
            goal = f"the nodes' mean is {self.experiment.target:g} per cent"
            measures.append((f"Epochs, MB and seconds until {goal}", self._until))
        return [line for title, text in measures for line in [f"{title}:", "", *grid(head, self._rows(cases, text))]]

    def _rows(self, cases, cell_text):
        for label in self.solvers:
            name = f"({label})" if label in self.references else label
            yield [name] + [cell_text(label, case) if (label, case) in self.jobs else "-" for case in cases]

    def _accuracy(self, label, case, key):
        results = self.results((label, case))
        edge = " edge" if (label, case) in self.edges and key == self.experiment.metric else ""
        diverged = sum(result["verdict"] == "diverged" for result in results)
        if diverged:
            return f"diverged {diverged}/{len(results)}{edge}"
        values = [result[key] for result in results]
        if None in values:
            return "-"
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        rivals = [self.mean((other, case), key) for other in self.solvers if other not in self.references]
        mean = statistics.fmean(values)
        best = label not in self.references and mean == max(rival for rival in rivals if rival is not None)
        return (f"**{mean:.2f}**" if best else f"{mean:.2f}") + spread + edge

    def _cost(self, label, case):
        sent, seconds = self.mean((label, case), "bytes_sent"), self.mean((label, case), "seconds")
        return "diverged" if sent is None else f"{sent * 1e-6:.4g}, {seconds:.3g}"

    def _until(self, label, case):
        reached = [next((point for point in curve if point[1] >= self.experiment.target), None)
                   for curve in self.curves((label, case))]
        if len(reached) < len(self.experiment.seeds) or None in reached:
            return "not reached"
        epochs, sent, seconds = (statistics.fmean(point[i] for point in reached) for i in (0, 2, 3))
        return f"{epochs:.3g}, {sent * 1e-6:.4g}, {seconds:.3g}"

    def _winners(self):
        shared = {}  # solver and winner -> the cases it won
        for entry in self.tuning.record(self.cells):
            point = ", ".join(f"{key.removeprefix('set ')} {value}" for key, value in entry["winner"].items())
            cases = [" ".join(value for key, value in case.items() if key != "table") for case in entry["cases"]]
            shared.setdefault((entry["solver"], point + " (edge)" * entry["edge"]), []).extend(cases)
        rows = [[solver, point, "; ".join(dict.fromkeys(cases))] for (solver, point), cases in shared.items()]
        return grid(["solver", "winner", "cases"], rows)

    def rows(self):
        """results.csv: one line for each run behind the tables."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        axes = list(dict.fromkeys(axis for table in self.experiment.tables for axis in table.axes))
        writer.writerow(["solver", "table", *axes, "seed", "parameters", *COLUMNS])
        for solver, case in self.cells:
            values = [case.options().get(axis, "") for axis in axes]
            point = " ".join(f"{key.removeprefix('set ')}={v}" for key, v in self.winners[solver.label, case].items())
            for seed, result in zip(self.experiment.seeds, self.results((solver.label, case))):
                writer.writerow([solver.label, case.table, *values, seed, point, *(result[key] for key in COLUMNS)])
        return out.getvalue()

    def write(self, folder):
        (folder / "table.md").write_text(self.markdown(), encoding="utf-8")
        (folder / "results.csv").write_text(self.rows(), encoding="utf-8")
        record = json.dumps(self.tuning.record(self.cells), indent=1)
        (folder / "tuning.json").write_text(record + "\n", encoding="utf-8")


def grid(head, rows):
    """A Markdown table whose columns also line up in plain text."""
    rows = [head] + [list(row) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)] + [len(head[-1])]  # the last may be long
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|"] + lines[1:] + [""]
