"""Runs declared experiments: tune, run the winners on every seed, report. `scripts/bench` starts this."""
import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import declaration
from declaration import Mistake
from report import Report
from runner import Failed, Job, Runner, clock, make_job
from tuning import Tuning

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def arguments():
    parser = argparse.ArgumentParser(prog="bench", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--solver", action="append", default=[])
    parser.add_argument("--case", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--no-plots", action="store_true")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--any-build", action="store_true")
    parser.add_argument("--tool", type=Path, default=ROOT / "build" / "ecl")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "bench")
    return parser.parse_args()


def selected(experiment, given):
    """The cells that --solver and --case leave."""
    labels = [solver.label for solver in experiment.solvers]
    for label in given.solver:
        if label not in labels:
            raise Mistake(f"--solver {label}: {experiment.name} has {', '.join(labels)}")
    wanted = {}
    for pair in given.case:
        key, _, value = pair.partition("=")
        if not any(value in table.axes.get(key, []) for table in experiment.tables):
            raise Mistake(f"--case {pair}: no case of {experiment.name} has it; KEY=VALUE of its [cases] is expected")
        wanted.setdefault(key, []).append(value)
    return [(solver, case) for solver, case in experiment.cells()
            if (not given.solver or solver.label in given.solver)
            and all(case.options().get(key) in values for key, values in wanted.items())]


def report_jobs(experiment, cells, point_of):
    """(label, case) -> its jobs, one for each seed, at the point that `point_of` says."""
    return {(solver.label, case): [make_job(solver.label, experiment.launcher,
                                            experiment.report_options(solver, case, point_of(solver, case)), seed)
                                   for seed in experiment.seeds] for solver, case in cells}


def flat(groups):
    return [job for group in groups for job in group]


def plan(experiment, cells, tuning):
    """The jobs of the three stages; where a winner is not known yet, the grid's first point stands for it."""
    def first(solver, _):
        return solver.points()[0]
    return {"tuning": flat(jobs for cell in cells for _, jobs in tuning.grid_trials(*cell)),
            "refining": flat(jobs for cell in cells for _, jobs in tuning.refining_trials(*cell, first(*cell))),
            "reporting": flat(report_jobs(experiment, cells, first).values())}


class Bench:
    """One experiment, from its declaration to its report."""

    def __init__(self, name, given):
        path = Path(name) if name.endswith(".ini") else HERE / f"{name}.ini"
        if not path.exists():
            raise Mistake(f"no experiment {name}; there are {', '.join(sorted(p.stem for p in HERE.glob('*.ini')))}")
        help_text = subprocess.run([given.tool, "simulate", "--help"], capture_output=True, text=True).stdout
        self.experiment = declaration.load(path, declaration.options_in(help_text))
        self.given, self.name, self.folder = given, self.experiment.name, given.runs / self.experiment.name
        alone = self.experiment.launcher == "train"  # ranks fill the machine by themselves
        self.runner = Runner(given.tool, self.folder, 1 if alone else given.jobs, self.experiment.check)
        self.tuning = Tuning(self.experiment, self.runner)
        self.cells = selected(self.experiment, given)
        if not self.cells:
            raise Mistake(f"{path.name}: nothing is left to run: --solver and --case exclude each other")
        self.stages = plan(self.experiment, self.cells, self.tuning)

    def print_plan(self):
        """Runs and time of each stage; returns the seconds in all."""
        total = 0.0
        for stage, jobs in self.stages.items():
            unique = set(jobs)
            seconds = sum(job.seconds() for job in unique)
            total += seconds / self.runner.parallel
            print(f"{self.name:16} {stage:10} {len(unique):6} runs {clock(seconds):>8} of one core")
        runs = len(set(flat(self.stages.values())))
        print(f"{self.name:16} {'all':10} {runs:6} runs, about {clock(total)} on {self.runner.parallel} cores")
        return total

    def rehearse(self):
        """Each solver with missing runs, in every case and at every point once, untrained: mistakes show first."""
        unfinished = {job.label for job in self.runner.missing(flat(self.stages.values()))}
        met = set()
        for solver, case in self.cells:
            points = solver.points()[:1] if solver.label in met else solver.points()
            met.add(solver.label)
            for point in points if solver.label in unfinished else []:
                options = self.experiment.report_options(solver, case, point)
                complaint = self.runner.refused(make_job(solver.label, self.experiment.launcher, options,
                                                         self.experiment.seeds[0]))
                if complaint:
                    place = f"{self.name}.ini: [solver {solver.label}]"
                    raise Mistake(f"{place} with {case.name() or 'its options'}: {complaint}")

    def run(self):
        """Runs what is missing, stage by stage, and writes the report."""
        report = Report(self.experiment, self.runner, self.tuning, self.cells, self._conduct())
        for old in self.folder.glob("curves-*"):
            old.unlink()
        report.write(self.folder)
        if not self.given.no_plots:
            import curves  # only here: needs matplotlib
            curves.draw(report, self.folder)
        print(f"{self.folder / 'table.md'}")
        if self.given.publish:
            publish(self.folder, self.name)

    def _conduct(self):
        """The report's jobs, done."""
        tuning, cells = self.tuning, self.cells
        # Alone and before the long ones: what is wrong with all of them shows in minutes, not in hours.
        self.runner.run(f"{self.name}, first run", [min(self.stages["tuning"], key=Job.seconds)])
        self.runner.run(f"{self.name}, tuning", flat(jobs for cell in cells for _, jobs in tuning.grid_trials(*cell)))
        self.runner.run(f"{self.name}, refining", flat(jobs for cell in cells for _, jobs in
                                                       tuning.refining_trials(*cell, tuning.first_winner(*cell))))
        jobs = report_jobs(self.experiment, cells, tuning.winner)
        self.runner.run(f"{self.name}, reporting", flat(jobs.values()))
        return jobs


def publish(folder, name):
    """Replaces what the bench writes; whatever else stands there stays."""
    target = HERE.parent / "results" / name
    target.mkdir(parents=True, exist_ok=True)
    for pattern in ("table.md", "results.csv", "tuning.json", "curves-*"):
        for old in target.glob(pattern):
            old.unlink()
        for path in sorted(folder.glob(pattern)):
            shutil.copy(path, target)
    print(f"copied to {target}")


def main():
    given = arguments()
    if not given.tool.exists():
        raise Mistake(f"{given.tool}: not there; scripts/build makes it")
    if given.jobs < 1:
        raise Mistake("--jobs: at least 1 is needed")
    if given.publish and (given.solver or given.case or given.no_plots):
        raise Mistake("--publish replaces the whole report: it does not go with --solver, --case or --no-plots")
    names = given.names or sorted(path.stem for path in HERE.glob("*.ini"))
    benches = [Bench(name, given) for name in names]
    if given.dry_run:
        total = sum(bench.print_plan() for bench in benches)
        if len(names) > 1:
            print(f"{'together':16} about {clock(total)}")
        return
    others = {bench.runner.folder: len(bench.runner.of_other_builds()) for bench in benches}
    if any(others.values()) and not given.any_build:
        places = ", ".join(f"{count} in {folder}" for folder, count in others.items() if count)
        raise Mistake(f"runs of another build than {given.tool} are there already, and need not compare with new ones: "
                      f"{places}; remove the folder, or keep them with --any-build")
    for bench in benches:  # all before the first runs for hours
        bench.rehearse()
    for bench in benches:
        bench.run()


if __name__ == "__main__":
    try:
        main()
    except Mistake as mistake:
        sys.exit(print(f"bench: {mistake}", file=sys.stderr) or 2)
    except Failed as failure:
        sys.exit(print(f"bench: {failure}", file=sys.stderr) or 1)
    except KeyboardInterrupt:
        sys.exit(print("bench: stopped; the same command goes on from here", file=sys.stderr) or 130)
