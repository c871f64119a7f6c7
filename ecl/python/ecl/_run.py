"""Runs of the tool: made from here, and what is left of them."""

import atexit
import csv
import html
import json
import re
import shutil
import struct
import warnings
import weakref
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from ecl._library import Error, init, rank, size
from ecl._predictor import Predictor
from ecl._tool import call, gather, mistake, new_path, options_of, private_files, shared_path

_COUNTS = ("node", "step", "bytes_sent", "messages_sent", "messages_taken", "messages_overwritten", "train_samples",
           "test_samples")
DIVERGED = "the run diverged: its loss grew a thousandfold or out of all numbers; try a smaller lr"
_TEXTS = ("dataset", "data", "test", "init")  # options whose values may look like numbers, and are names
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?(e[+-][0-9]{2,3})?")  # as the tool writes them: 007 is none
_STOPPED = 75  # exit code after a signal
_to_remove: List[str] = []


def simulate(*, out: Union[str, Path, None] = None, quiet: bool = True, **options: Any) -> "Run":
    """A whole experiment in this process, in virtual time: `ecl simulate`.

        run = ecl.simulate(nodes=8, partition="classes:2", model="mlp", epochs=5)

    out:     directory of the run, which must be new; without it a temporary one, gone with the Run
    quiet:   prints nothing; warnings of the run are Python's. False: progress and results as the tool prints them
    options: the tool's, with _ for -: lr_schedule="cosine". True sets one without a value (compare_local=True), a list
             or a dict repeats one (set={"theta": 0.5}). `python3 -m ecl simulate --help` tells all

    resume=DIR goes on with the run in DIR. Raises Error with the tool's one line. A run that diverges is returned, with
    a warning.
    """
    _, run = carry_out("simulate", out, quiet, options)
    if quiet:
        run._warn()
    return run


def train(*, out: Union[str, Path, None] = None, quiet: bool = True, **options: Any) -> "Run":
    """The same over the ranks that mpirun started, a node each, on their own data or on a pile that is dealt: `ecl
    train`. Collective: all ranks call it, with the same options. Without mpirun it is one node.

        run = ecl.train(data="/data/visits-{node}.csv", dataset="csv:label=outcome", epochs=100)

    Arguments as of simulate(); a temporary directory is there until the program ends. Where hosts share no file system
    the first rank's keeps the metrics, each the model. If a rank dies the others end their processes.
    """
    init()
    _, run = carry_out("train", out, quiet, options)
    if quiet and rank() == 0:
        run._warn()
    return run


def carry_out(command: str, out: Union[str, Path, None], quiet: bool, options: Dict[str, Any]) -> Tuple[int, "Run"]:
    """The tool's exit code, and the run."""
    for option in ("help", "print_config", "dry_run"):
        if options.get(option):
            raise mistake(f"{option} makes no run; use ecl.tool('{command}', '--{option.replace('_', '-')}', ...)")
    resume = options.get("resume")
    if resume and out is not None:
        raise mistake("resume names the run's directory; leave out `out`")
    path = str(resume or out or (shared_path() if command == "train" else new_path()))
    arguments = [command, *options_of(options), *([] if resume else [f"--out={path}"])]
    temporary = not resume and out is None
    try:
        with private_files(temporary):
            code = call(arguments + ["--quiet"] * (quiet and not options.get("quiet")), silent=quiet)
        if code == _STOPPED:
            error = Error("a signal stopped the run" + ("" if temporary else f"; resume='{path}' goes on with it"))
            error.code = code
            raise error
    except BaseException:
        if temporary:
            shutil.rmtree(path, ignore_errors=True)
        raise
    run = Run(path)
    if command == "train":
        run._hear_the_end()
    if temporary:
        run._remove_at_end(shared=command == "train" and size() > 1)
    return code, run


class Run:
    """What a run has left in its directory: of one under way, or that was killed, what is there so far. Everything is
    read when it is asked for.

        run = ecl.Run("runs/a")
        run.summary["test_accuracy_mean"], run.verdict, run.metrics["accuracy"]
        run.predict(rows), run.plot()
    """

    def __init__(self, path: Union[str, Path]) -> None:
        """`path`: what the run gave to --out."""
        self.path = Path(path)
        if not (self.path / "config.ini").is_file():
            raise mistake(f"'{path}' is no directory of a run: it has no config.ini")
        self._predictors: Dict[Optional[int], Tuple[Tuple[int, ...], Predictor]] = {}  # with the file that it has read
        self._told: Dict[str, Any] = {}  # the summary, where another host has it

    @property
    def config(self) -> Dict[str, Any]:
        """Every option as it was used, by its keyword: ecl.simulate(**run.config) repeats a simulated run."""
        found: Dict[str, Any] = {}
        for line in (self.path / "config.ini").read_text().splitlines():
            if line.startswith("#") or " = " not in line:
                continue
            name, written = line.split(" = ", 1)
            name = name.replace("-", "_")
            value = _option(written, text=name in _TEXTS)
            found[name] = [*found.get(name, []), value] if name == "set" else value
        return found

    @property
    def status(self) -> Dict[str, Any]:
        """How far the run is: state, step, steps, epoch, seconds, ..."""
        return self._json("status.json")

    @property
    def summary(self) -> Dict[str, Any]:
        """How it ended: summary.json. Raises Error where it has not."""
        if not self._end():
            raise mistake(f"'{self.path}' has no summary.json: the run has not ended, was killed, or its first rank's "
                          "host keeps it")
        return self._end()

    @property
    def verdict(self) -> str:
        """converged, finished, diverged, preempted or partial; running where it has not ended (or was killed)."""
        return self._end().get("verdict") or self.status.get("state", "running")

    @property
    def warnings(self) -> List[str]:
        """A line each; none yet of a run that has not ended."""
        return self._end().get("warnings", [])

    @property
    def metrics(self) -> np.ndarray:
        """metrics.csv as a structured array, a row per node and evaluation: metrics["loss"]. NaN where it is empty."""
        if self._end() and not (self.path / "metrics.csv").is_file():
            raise mistake(f"'{self.path}' has no metrics.csv: the first rank's host keeps it")
        return _table(self.path / "metrics.csv")

    @property
    def sites(self) -> Optional[np.ndarray]:
        """sites.csv, a row per node of a run with own data; None of others."""
        return _table(self.path / "sites.csv") if (self.path / "sites.csv").is_file() else None

    def frame(self) -> Any:
        """The metrics as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame(self.metrics)

    def model(self) -> Dict[str, np.ndarray]:
        """The nodes' average model: arrays of float32, with PyTorch's names and shapes."""
        return _tensors(self._model_file("model.safetensors"))

    def state_dict(self) -> Dict[str, Any]:
        """The same as tensors: module.load_state_dict(run.state_dict())."""
        import torch

        return {name: torch.from_numpy(values) for name, values in self.model().items()}

    def predict(self, rows: Any, node: Optional[int] = None) -> np.ndarray:
        """By the average model: the name of the class of each row; of a regression the number, in its own unit; of a
        model of several labels a row (--loss logistic) rows x labels, 1 where the label is more probable than not.

        rows: an array, rows x columns as the training data had them without the label; or a pandas DataFrame or a list
              of dicts, whose columns are found by name and may be more. In the units of the training data. A row that
              training would have left out (missing=drop) gets None, for each label where there are several; in a
              regression NaN
        node: whose scaling, where each node has its own (standardise=own)
        """
        predictor = self._predictor(node)
        if not predictor.classes:
            return predictor.values(rows)
        if predictor.multi_label:
            found = predictor.probabilities(rows)
            unknown, labels = np.isnan(found), (found > 0.5).astype(np.int32)
            return np.where(unknown, None, labels.astype(object)) if unknown.any() else labels
        numbers = predictor.numbers(rows)
        names = np.array(predictor.classes)[numbers]
        return np.where(numbers < 0, None, names.astype(object)) if (numbers < 0).any() else names

    def predict_proba(self, rows: Any, node: Optional[int] = None) -> np.ndarray:
        """The classes' probabilities, rows x classes, in the order of `classes`."""
        predictor = self._predictor(node)
        if not predictor.classes:
            raise mistake("this model predicts a number, and no classes: predict() gives it")
        return predictor.probabilities(rows)

    @property
    def classes(self) -> List[str]:
        """Names of the classes; none where the model predicts a number."""
        description = json.loads(self._model_file("model.json").read_text())
        return description["classes"] or [str(c) for c in range(description["class_count"])]

    def plot(self, column: Optional[str] = None, ax: Any = None) -> Any:
        """Draws a column of the metrics over the epochs, each node and their mean; accuracy, or loss where there is
        none. Returns matplotlib's axes."""
        metrics = self.metrics
        if column is None:
            column = "accuracy" if np.isfinite(metrics["accuracy"]).any() else "loss"
        if column not in metrics.dtype.names:
            raise mistake(f"there is no column '{column}'; there are {', '.join(metrics.dtype.names)}")
        if ax is None:
            import matplotlib.pyplot

            _, ax = matplotlib.pyplot.subplots()
        for node in np.unique(metrics["node"]):
            rows = metrics[metrics["node"] == node]
            label = "nodes" if node == metrics["node"][0] else None
            ax.plot(rows["epoch"], rows[column], color="C0", alpha=0.3, linewidth=1, label=label)
        epochs = np.unique(metrics["epoch"])
        means = [metrics[column][metrics["epoch"] == epoch].mean() for epoch in epochs]
        ax.plot(epochs, means, color="C0", linewidth=2, label="mean")
        ax.set(xlabel="epoch", ylabel=column.replace("_", " ") + (", %" if column == "accuracy" else ""))
        ax.legend()
        return ax

    def report(self, out: Union[str, Path, None] = None) -> Path:
        """Writes a page that tells how the run went, by default report.html in its directory; returns its path. Wants
        jinja2 (Debian: python3-jinja2)."""
        from ecl._report import report

        return report(self.path, out)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<ecl.Run '{self.path}': {', '.join(f'{name} {value}' for name, value in self._facts())}>"

    def _repr_html_(self) -> str:
        cells = [("run", str(self.path)), *self._facts()]
        rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in cells)
        return f"<table>{rows}</table>"

    def _facts(self) -> List[Tuple[str, str]]:
        config = self.config
        facts = [("verdict", self.verdict), ("algorithm", f"{config['solver']} on {config['topology']}"),
                 ("model", f"{config['model']} on {config['dataset']}")]
        summary = self._end()
        if not summary:
            return [*facts, ("epoch", f"{self.status.get('epoch', 0):g}")]
        facts.append(("nodes", str(summary["nodes"])))
        for name, key, unit in (("test accuracy", "test_accuracy_consensus", " %"), ("test RMSE", "test_rmse", ""),
                                ("consensus error", "consensus_error", "")):
            if summary.get(key) is not None:
                facts.append((name, f"{summary[key]:.4g}{unit}"))
        if summary["warnings"]:
            facts.append(("warnings", str(len(summary["warnings"]))))
        return facts

    def _end(self) -> Dict[str, Any]:
        """The summary; empty where there is none yet."""
        return self._json("summary.json") or self._told

    def _hear_the_end(self) -> None:
        """The summary is the first rank's to tell, where hosts share no file system. Collective."""
        self._told = json.loads(gather(json.dumps(self._end()).encode() if rank() == 0 else b"")[0])

    def _json(self, name: str) -> Dict[str, Any]:
        path = self.path / name
        return json.loads(path.read_text()) if path.is_file() else {}

    def _model_file(self, name: str) -> Path:
        path = self.path / "model" / name
        if not path.is_file():
            raise mistake(f"'{self.path}' has no model yet: a run leaves it when it ends")
        return path

    def _predictor(self, node: Optional[int]) -> Predictor:
        self._model_file("model.json")
        now = _version(self.path / "model" / "model.safetensors")
        kept, predictor = self._predictors.get(node, (None, None))
        if predictor is None or now is None or now != kept:
            predictor = Predictor(self.path, node)
            if now:
                self._predictors[node] = now, predictor
        return predictor

    def _remove_at_end(self, shared: bool) -> None:
        """A temporary directory goes with the Run; one that several ranks look at, when the program ends."""
        if shared:
            _to_remove.append(str(self.path))
        else:
            weakref.finalize(self, shutil.rmtree, str(self.path), ignore_errors=True)

    def _warn(self) -> None:
        """What the caller of train() or simulate() must know."""
        if self.verdict == "diverged":
            warnings.warn(DIVERGED, stacklevel=3)
        for warning in self.warnings:
            warnings.warn(warning, stacklevel=3)


def _remove() -> None:
    for path in _to_remove:
        shutil.rmtree(path, ignore_errors=True)


atexit.register(_remove)  # before the first init(): so it comes after the end of MPI, when no rank looks any more


def _version(path: Path) -> Optional[Tuple[int, ...]]:
    """Another one once the file is another; None while there is none, and a run's model changes as it goes on."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_mtime_ns, about.st_ino, about.st_size


def _option(written: str, text: bool) -> Any:
    """A value of config.ini; `text`: of an option that is one, whatever it looks like."""
    if written.startswith('"'):
        return re.sub(r"\\(x[0-9a-f]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) > 1 else m[1], written[1:-1])
    if text or written != "true" and not _NUMBER.fullmatch(written):
        return written
    if written == "true":
        return True
    return int(written) if written.lstrip("-").isdigit() else float(written)


def _table(path: Path) -> np.ndarray:
    """A csv file, whose last line may be under way: columns of whole numbers, of numbers (NaN where empty), of text."""
    text = path.read_text() if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    lines = list(csv.reader(whole.splitlines())) or [["node", "step", "epoch", "loss", "accuracy"]]
    columns = [_column(name, [line[i] for line in lines[1:]]) for i, name in enumerate(lines[0])]
    table = np.empty(len(lines) - 1, [(name, column.dtype) for name, column in zip(lines[0], columns)])
    for name, column in zip(lines[0], columns):
        table[name] = column
    return table


def _column(name: str, cells: List[str]) -> np.ndarray:
    try:
        if name in _COUNTS:
            return np.array([int(cell) for cell in cells], np.int64)
        return np.array([float(cell or "nan") for cell in cells], np.float64)
    except ValueError:
        return np.array(cells)


def _tensors(path: Path) -> Dict[str, np.ndarray]:
    """A file of safetensors, all of them floats."""
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    found = {}
    for name, about in header.items():
        if name != "__metadata__":
            first, end = about["data_offsets"]
            found[name] = np.frombuffer(content[start + first : start + end], "<f4").reshape(about["shape"]).copy()
    return found
