"""An experiment as its declaration NAME.ini states it: read, checked, turned into cells. README.md has the format.

A cell is one solver in one case; a point is one choice of the tuned values; together with a seed they make one run.
"""
import configparser
import difflib
import itertools
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

METRICS = ("test_accuracy_mean", "test_accuracy_min", "test_accuracy_consensus")
OWN_KEYS = {"experiment": {"title", "launcher", "seeds", "metric", "target"}, "options": set(), "cases": {"curves"},
            "tuning": {"trials", "seeds", "refine"}, "solver": {"solver", "reference"}}
HARNESS_OPTIONS = {"seed", "set", "solver", "out", "config", "print-config", "quiet", "verbose", "help", "resume"}


class Mistake(Exception):
    """What a user has to put right, in one line."""


@dataclass(frozen=True)
class Case:
    """One setting that all solvers meet: a value for each axis of a [cases] section."""
    table: str
    values: tuple

    def options(self):
        return dict(self.values)

    def name(self):
        return " ".join(value for _, value in self.values)


@dataclass
class Table:
    """A [cases] section: the product of its axes, one table of the report."""
    name: str
    axes: dict
    curves: bool

    def cases(self):
        products = itertools.product(*self.axes.values())
        return [Case(self.name, tuple(zip(self.axes, values))) for values in products]


@dataclass
class Solver:
    """A [solver] section: a row of the report. `grid` is what is tuned, `only` the cases it can run in."""
    label: str
    fixed: dict
    grid: dict
    only: dict
    reference: bool

    def points(self):
        return [dict(zip(self.grid, values)) for values in itertools.product(*self.grid.values())]

    def runs_in(self, case):
        return all(value in self.only.get(key, [value]) for key, value in case.values)


@dataclass
class Experiment:
    name: str
    title: str
    launcher: str
    seeds: list
    metric: str
    target: float
    options: dict
    tables: list
    trials: int
    tuning_seeds: list
    tuning_options: dict
    refine: list
    solvers: list = field(default_factory=list)

    def cells(self):
        """(solver, case), for every solver that runs in the case."""
        cases = [case for table in self.tables for case in table.cases()]
        return [(solver, case) for solver in self.solvers for case in cases if solver.runs_in(case)]

    def report_options(self, solver, case, point):
        return {**self.options, **case.options(), **solver.fixed, **point}

    def tuning_options_of(self, solver, case, point, own_case):
        """A tuning run's options. An axis that [tuning] pins is tuned once for all values; `own_case` undoes that."""
        pinned = {}
        for key, value in self.tuning_options.items():
            if own_case and key in case.options():
                continue
            allowed = solver.only.get(key, [value])
            pinned[key] = value if value in allowed else allowed[0]
        return {**self.options, **case.options(), **pinned, **solver.fixed, **point}

    def check(self, summary):
        """Throws if a finished run says nothing that its solver could be judged by."""
        if summary["verdict"] == "diverged" or summary[self.metric] is not None:
            return
        others = [metric for metric in METRICS if summary[metric] is not None]
        advice = (f"nodes with test rows of their own have none in common; set metric = {' or '.join(others)}" if others
                  else "nor any other accuracy (a loss like mse has none), and the bench compares nothing else")
        raise Mistake(f"{self.name}.ini: [experiment] metric: the runs have no {self.metric}: {advice}")


class Section:
    """One section, its keys taken one by one; every complaint names file, section and key."""

    def __init__(self, parser, file, name, known_options):
        self.file, self.name = file, name
        self.kind, _, self.label = name.partition(" ")
        self.values = dict(parser[name])
        self.known = known_options | OWN_KEYS[self.kind]
        for key, value in self.values.items():
            prefix, _, rest = key.partition(" ")
            set_or_only = rest and (prefix == "set" or prefix == "only" and rest in known_options)
            if key not in self.known and not (self.kind == "solver" and set_or_only):
                close = difflib.get_close_matches(key, sorted(self.known), 1)
                self.fail(key, "no such key" + (f"; did you mean {close[0]}?" if close else ""))
            if not value:
                self.fail(key, "has no value")

    def fail(self, key, problem):
        raise Mistake(f"{self.file}: [{self.name}] {key}: {problem}")

    def take(self, key, default=None):
        if key not in self.values and default is None:
            self.fail(key, "missing")
        return self.values.pop(key, default)

    def words(self, key, default=None):
        return self.take(key, default).split()

    def choice(self, key, default, choices):
        value = self.take(key, default)
        if value not in choices:
            self.fail(key, f"'{value}' is none of {', '.join(choices)}")
        return value

    def numbers(self, key, default=None, kind=float):
        try:
            numbers = [kind(word) for word in self.words(key, default)]
        except ValueError:
            self.fail(key, "not " + ("whole numbers" if kind is int else "numbers"))
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            self.fail(key, "must be at least 0")
        return numbers

    def seeds(self):
        seeds = self.numbers("seeds", kind=int)
        if len(set(seeds)) < len(seeds):
            self.fail("seeds", "one of them stands there twice")
        return seeds

    def lists(self):
        """What is left: options of ecl, each with its values."""
        return {key: value.split() for key, value in self.values.items()}

    def singles(self):
        for key, values in self.lists().items():
            if len(values) > 1:
                self.fail(key, "one value is expected here; several go into [cases] or, to be tuned, into [solver]")
        return dict(self.values)


def load(path, known_options):
    """The experiment that `path` declares; `known_options` are those of the tool's command. Throws Mistake."""
    path = Path(path)
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#",), default_section="*",
                                       empty_lines_in_values=False)
    parser.optionxform = str
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=path.name)
    except configparser.Error as error:
        raise Mistake(str(error).replace("\n", " ")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"{path}: cannot be read ({error})") from None

    sections = {}
    for name in parser.sections():
        kind, _, label = name.partition(" ")
        if kind not in OWN_KEYS or (kind == "solver") > bool(label) or (label and kind not in ("solver", "cases")):
            raise Mistake(f"{path.name}: [{name}]: no such section; there are [experiment], [options], [cases NAME], "
                          "[tuning], [solver NAME]")
        sections.setdefault(kind, []).append(Section(parser, path.name, name, known_options - HARNESS_OPTIONS))
    for kind in OWN_KEYS:
        if kind not in sections:
            raise Mistake(f"{path.name}: [{kind}]: missing")
    return _experiment(path.stem, sections)


def _experiment(name, sections):
    head, tuning = sections["experiment"][0], sections["tuning"][0]
    experiment = Experiment(
        name=name, title=head.take("title"), launcher=head.choice("launcher", "simulate", ("simulate", "train")),
        seeds=head.seeds(), metric=head.choice("metric", METRICS[0], METRICS),
        target=(head.numbers("target", "0") + [0])[0], options=sections["options"][0].singles(),
        tables=[_table(section) for section in sections["cases"]], trials=tuning.numbers("trials", kind=int)[0],
        tuning_seeds=tuning.seeds(), refine=tuning.numbers("refine", "1"), tuning_options=tuning.singles())
    head.singles()
    axes = {key: values for table in experiment.tables for key, values in table.axes.items()}
    experiment.solvers = [_solver(section, experiment.trials, axes) for section in sections["solver"]]
    return experiment


def _table(section):
    curves = section.choice("curves", "yes", ("yes", "no")) == "yes"
    return Table(section.label, section.lists(), curves)


def _solver(section, trials, axes):
    name = section.take("solver", section.label)
    reference = section.choice("reference", "no", ("yes", "no")) == "yes"
    values = section.lists()
    only = {key.partition(" ")[2]: values.pop(key) for key in list(values) if key.startswith("only ")}
    for key in only:
        if key not in axes:
            section.fail(f"only {key}", f"{key} is no key of a [cases] section")
    section.numbers("lr")  # asks that they be there, and numbers
    grid = {key: values[key] for key in values if key == "lr" or len(values[key]) > 1}
    size = math.prod(len(choices) for choices in grid.values())
    if size != trials:
        section.fail("lr", f"the grid over {', '.join(grid)} has {size} points, [tuning] trials asks for {trials}")
    fixed = {key: choices[0] for key, choices in values.items() if key not in grid}
    return Solver(section.label, {"solver": name, **fixed}, grid, only, reference)


def options_in(help_text):
    """The options that the tool's help names."""
    return set(re.findall(r"^ +--([a-z-]+)", help_text, re.MULTILINE))
