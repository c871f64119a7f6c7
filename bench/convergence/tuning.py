"""The search for each solver's parameters: grids of one size for all, then, if declared, rates around the winner.

Cases whose tuning runs are the same commands share them, and so the winner: that is all that sharing means.
"""
import shlex

from runner import make_job


class Tuning:
    """Trials, scores and winners of one experiment. A point is a dict of the tuned values."""

    def __init__(self, experiment, runner):
        self.experiment, self.runner = experiment, runner

    def grid_trials(self, solver, case):
        return [(point, self._jobs(solver, case, point, own_case=False)) for point in solver.points()]

    def refining_trials(self, solver, case, winner):
        if len(self.experiment.refine) == 1:
            return []
        rates = [f"{float(winner['lr']) * factor:.4g}" for factor in self.experiment.refine]
        points = [{**winner, "lr": rate} for rate in rates]
        return [(point, self._jobs(solver, case, point, own_case=True)) for point in points]

    def trials(self, solver, case):
        """Of both stages, in the order in which they are run."""
        return self.grid_trials(solver, case) + self.refining_trials(solver, case, self.first_winner(solver, case))

    def _jobs(self, solver, case, point, own_case):
        options = self.experiment.tuning_options_of(solver, case, point, own_case)
        return [make_job(solver.label, self.experiment.launcher, options, seed)
                for seed in self.experiment.tuning_seeds]

    def score(self, jobs):
        """Mean over the tuning seeds; None if one of them diverged."""
        results = [self.runner.result(job) for job in jobs]
        if any(result["verdict"] == "diverged" for result in results):
            return None
        return sum(result[self.experiment.metric] for result in results) / len(results)

    def best(self, trials):
        """The point with the highest score; if all diverged, the one with the lowest learning rate."""
        scored = [(point, self.score(jobs)) for point, jobs in trials]
        finished = [pair for pair in scored if pair[1] is not None]
        if finished:
            return max(finished, key=lambda pair: pair[1])[0]
        return min(scored, key=lambda pair: float(pair[0]["lr"]))[0]

    def first_winner(self, solver, case):
        return self.best(self.grid_trials(solver, case))

    def winner(self, solver, case):
        first = self.first_winner(solver, case)
        refining = self.refining_trials(solver, case, first)
        return self.best(refining) if refining else first

    def at_edge(self, solver, case):
        """Whether no lower or no higher learning rate was tried by runs that else are the winner's. The grid's often
        are not: they are of another case, or of fewer epochs."""
        winner, trials = self.winner(solver, case), self.trials(solver, case)
        chosen = next(jobs for point, jobs in reversed(trials) if point == winner)  # if both stages have it, the last
        rates = {float(point["lr"]) for point, jobs in trials if _all_but_rate(jobs) == _all_but_rate(chosen)}
        return len(rates) > 1 and not min(rates) < float(winner["lr"]) < max(rates)

    def record(self, cells):
        """Grids, scores and winners, for tuning.json; one entry for the cases that share all."""
        entries = {}
        for solver, case in cells:
            trials = [{**point, "score": self.score(jobs), "seeds": self.experiment.tuning_seeds,
                       "command": shlex.join(jobs[0].words)} for point, jobs in self.trials(solver, case)]
            key = (solver.label, tuple(trial["command"] for trial in trials))
            winner = self.winner(solver, case)
            entry = entries.setdefault(key, {"solver": solver.label, "cases": [], "winner": winner,
                                             "edge": self.at_edge(solver, case), "trials": trials})
            entry["cases"].append({"table": case.table, **case.options()})
        return list(entries.values())


def _all_but_rate(jobs):
    words = jobs[0].words
    at = words.index("--lr")
    return words[:at] + words[at + 2:]
