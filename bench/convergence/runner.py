"""Jobs: one run of the tool each, done at most once, several at a time."""
import concurrent.futures
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# For plans: samples to train on and to test, and seconds to load them; seconds for the gradient of one sample.
SETS = {"digits": (1437, 360, 0.02), "cifar10": (50000, 10000, 0.8)}
GRADIENT_S = {"softmax": 1.0e-6, "mlp": 4.4e-6, "cnn": 5.0e-5, "resnet:8": 5.0e-4, "resnet:20": 1.4e-3}

ROOT = Path(__file__).resolve().parent.parent.parent  # what paths in a declaration begin at
DIVERGED = 4  # the tool's exit code for it: a result, not a failure


class Failed(Exception):
    """A job that ended otherwise than finished or diverged."""


@dataclass(frozen=True)
class Job:
    """A command line, without the tool's path and --out. Its folder is named after it."""
    label: str
    ranks: int  # 0: no mpirun
    words: tuple

    def folder(self):
        text = " ".join(("mpirun", "-n", str(self.ranks)) * bool(self.ranks) + self.words)
        return f"{self.label.replace(' ', '_')}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def seconds(self):
        """A guess at what it costs on one idle core, for plans; while jobs run their pace corrects it."""
        given = dict(zip(self.words[1::2], self.words[2::2]))
        nodes, batch = self.ranks or int(given.get("--nodes", 8)), float(given.get("--batch", 32))
        train, test, load_s = SETS.get(given.get("--dataset", "digits"), (60000, 10000, 0.32))
        gradient_s = GRADIENT_S.get(given.get("--model", "softmax"), 4.4e-6)
        epochs, every = float(given.get("--epochs", 10)), float(given.get("--eval-every", 1))
        samples = float(given["--steps"]) * batch * nodes if "--steps" in given else epochs * train
        evaluations = 1 + (samples / train / every if every else 0)
        degree = nodes - 1 if given.get("--topology") == "complete" else 3
        exchanges = given.get("--exchanges", "usual")
        if not exchanges.isdigit():
            exchanges = 4 if exchanges != "usual" or given.get("--solver", "ecl") == "ecl" else 1
        messages = samples / batch / float(given.get("--local-steps", 8)) * float(exchanges) * degree
        message_s = 1.2e-5 if gradient_s < 2e-6 else 1.5e-4  # by the model's size
        return load_s + samples * gradient_s + evaluations * nodes * test * gradient_s / 3 + messages * message_s


def make_job(label, launcher, options, seed):
    """The job for ecl's `options` (`set KEY` for a solver's own parameter), in a canonical order."""
    options = dict(options)
    ranks = int(options.pop("nodes", 8)) if launcher == "train" else 0
    words = [launcher]
    for key in sorted(key for key in options if not key.startswith("set ")):
        words += [f"--{key}", options[key]]
    for key in sorted(key for key in options if key.startswith("set ")):
        words += ["--set", f"{key[4:]}={options[key]}"]
    return Job(label, ranks, tuple(words + ["--seed", str(seed), "--quiet"]))


class Runner:
    """Runs jobs into `folder`/jobs. A job that has a finished summary of the same command is not run again. `check`
    sees each summary, and throws if nothing can be made of such runs."""

    def __init__(self, tool, folder, parallel, check):
        self.tool, self.folder, self.parallel = Path(tool).resolve(), Path(folder).resolve() / "jobs", parallel
        self.check = check
        self.summaries = {}

    def path(self, job):
        return self.folder / job.folder()

    def build(self):
        """What tells this build of the tool from all others."""
        return hashlib.sha256(self.tool.read_bytes()).hexdigest()[:12]

    def of_other_builds(self):
        """The runs that another build made, or one that nobody noted."""
        build = self.build()
        return [run for run in self.folder.glob("*") if ended(run) and build_of(run) != build]

    def result(self, job):
        """The summary of a finished or diverged job, else None."""
        if job not in self.summaries:
            summary = ended(self.path(job))
            # The tool quotes its words for a shell. The last one is the folder.
            if not summary or shlex.split(summary["command"])[:-1] != ["ecl", *job.words, "--out"]:
                return None
            self.check(summary)
            self.summaries[job] = summary
        return self.summaries[job]

    def missing(self, jobs):
        return [job for job in dict.fromkeys(jobs) if self.result(job) is None]

    def run(self, title, jobs):
        """All that are missing, the long ones first. The first failure stops the others and is thrown."""
        todo = sorted(self.missing(jobs), key=Job.seconds, reverse=True)
        if not todo:
            return
        progress = Progress(title, len(set(jobs)) - len(todo), [job.seconds() for job in todo])
        pool = concurrent.futures.ThreadPoolExecutor(self.parallel)
        try:
            started = {pool.submit(self._run, job): job for job in todo}
            for future in concurrent.futures.as_completed(started):
                future.result()
                progress.add(started[future].seconds())
        finally:
            pool.shutdown(cancel_futures=True)
            progress.close()

    def _run(self, job):
        path = self.path(job)
        shutil.rmtree(path, ignore_errors=True)  # what an interrupted run left
        path.parent.mkdir(parents=True, exist_ok=True)
        command, build = self.command(job) + ["--out", str(path)], self.build()
        outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if outcome.returncode not in (0, DIVERGED):
            raise Failed(f"exit code {outcome.returncode} from\n  {shlex.join(command)}\n{outcome.stderr.strip()}")
        (path / "tool").write_text(build + "\n")
        shutil.rmtree(path / "model", ignore_errors=True)  # thousands of models would fill the disk
        if self.result(job) is None:
            raise Failed(f"no finished run in {path} after\n  {shlex.join(command)}")

    def command(self, job):
        return ["mpirun", "-n", str(job.ranks)] * bool(job.ranks) + [str(self.tool), *job.words]

    def refused(self, job):
        """What the tool has against a job, found out by building all of it and stopping there; None if nothing."""
        words = ["simulate", *job.words[1:], "--dry-run"] + ["--nodes", str(job.ranks)] * bool(job.ranks)
        outcome = subprocess.run([str(self.tool), *words], cwd=ROOT, capture_output=True, text=True)
        return None if outcome.returncode == 0 else outcome.stderr.strip()


def ended(run):
    """The summary of the run in this folder; None if it was stopped, or there is none."""
    try:
        summary = json.loads((run / "summary.json").read_text())
    except (OSError, ValueError):
        return None
    return summary if summary["verdict"] in ("converged", "finished", "diverged") else None


def build_of(run):
    """The build of the tool that made the run in this folder; empty if nobody noted it."""
    note = run / "tool"
    return note.read_text().strip() if note.exists() else ""


class Progress:
    """One line on stderr: rewritten on a terminal, now and then elsewhere."""

    def __init__(self, title, done, todo_seconds):
        self.title, self.done, self.total = title, done, done + len(todo_seconds)
        self.work, self.worked, self.start, self.shown = sum(todo_seconds), 0.0, time.monotonic(), 0.0
        self.terminal, self.lock = sys.stderr.isatty(), threading.Lock()
        self.show()

    def add(self, seconds):
        with self.lock:
            self.done += 1
            self.worked += seconds
            if self.terminal or time.monotonic() - self.shown > 30 or self.done == self.total:
                self.show()

    def show(self):
        self.shown = time.monotonic()
        elapsed = self.shown - self.start
        left = f", {clock(elapsed / self.worked * (self.work - self.worked))} left" if self.worked else ""
        line = f"{self.title}: {self.done}/{self.total} runs{left}"
        start, end = ("\r\033[K", "") if self.terminal else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)

    def close(self):
        if self.terminal:
            print(file=sys.stderr)


def clock(seconds):
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
