"""Classifier and Regressor: tables, by scikit-learn's conventions, with and without scikit-learn."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ecl._library import Diverged, Error, init, rank
from ecl._predictor import Predictor
from ecl._run import DIVERGED, Run, carry_out
from ecl._tool import agree, gather, mistake, new_path, private_files, shared_path

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import NotFittedError
except ImportError:  # its conventions are kept without it

    class BaseEstimator:  # type: ignore[no-redef]
        pass

    class ClassifierMixin:  # type: ignore[no-redef]
        _estimator_type = "classifier"

    class RegressorMixin:  # type: ignore[no-redef]
        _estimator_type = "regressor"

    class NotFittedError(ValueError, AttributeError):  # type: ignore[no-redef]
        pass


_DIVERGED = 4
_NOT_HERE = ("data", "test", "dataset", "partition", "placement", "devices", "config", "resume", "help", "print_config",
             "dry_run")


class NotFitted(Error, NotFittedError):
    """predict() before fit()."""

    code = 2


class _Estimator(BaseEstimator):
    """fit() is collective over the ranks that mpirun started: each calls it with its own rows, as many as it has, all
    with the same columns. Afterwards all have the same model. Without mpirun it is one node that has all the rows."""

    _kinds: Dict[str, str] = {}  # what y may hold: NumPy's kind of it, in words

    def _take(self, given: Dict[str, Any]) -> None:
        """The constructor's arguments; an attribute each."""
        options = given.pop("options")
        self._names = [name for name in given if name != "self" and not name.startswith("_")]
        self.set_params(**{name: given[name] for name in self._names}, **options)

    def get_params(self, deep: bool = True) -> Dict[str, Any]:
        """All that the constructor was given."""
        return {name: getattr(self, name) for name in self._names}

    def set_params(self, **parameters: Any) -> Any:
        """Of the constructor. Whether there is such an option is seen in fit()."""
        for name, value in parameters.items():
            if name in _NOT_HERE:
                raise mistake(f"{name} is no option of {type(self).__name__}, whose data are given to fit()")
            if name not in self._names:
                if hasattr(type(self), name):
                    raise mistake(f"{name} is no option: {type(self).__name__} has something else of that name")
                self._names.append(name)
            setattr(self, name, value)
        return self

    def _labels(self, y: Any) -> Tuple[np.ndarray, List[str]]:
        """As they are written: numbers, and the names of the classes that these stand for."""
        raise NotImplementedError

    def _fit(self, rows: Any, y: Any, weights: Any) -> None:
        init()
        path = shared_path()
        own, wrong = f"{path}-{rank()}", None
        try:
            try:
                matrix, names = _floats(rows)
                labels, classes = self._labels(y)
                _write(own, matrix, names, labels, classes, _weights(weights, len(matrix)))
            except Exception as error:  # of whatever kind: the other ranks wait to hear of it
                wrong = error
            agree(wrong)
            _agree_on_classes(self._kinds[np.asarray(y).dtype.kind], classes)
            parameters = self.get_params()
            standardise = parameters.pop("standardise", None)
            out, quiet = parameters.pop("out", None), parameters.pop("quiet", True)
            dataset = "npy" if standardise is None else f"npy:standardise={_option(standardise)}"
            with private_files(out is None):
                code, run = carry_out("train", out or path, quiet, {
                    "dataset": dataset, "data": path + "-{node}", "test": path + "-{node}", "partition": "own",
                    "eval_every": 0, **parameters})
            diverged = code == _DIVERGED
            self._forget() if diverged else self._keep(run)
            agree(None)  # all have read what they need
        finally:
            shutil.rmtree(own, ignore_errors=True)
            shutil.rmtree(path, ignore_errors=True)
        if diverged:
            raise Diverged(DIVERGED)
        self.n_features_in_ = matrix.shape[1]
        if names:
            self.feature_names_in_ = np.array(names, object)
        if quiet and rank() == 0:
            for warning in self.summary_["warnings"]:
                if "--test names the rows of --data" not in warning:  # which is how an estimator is scored
                    warnings.warn(warning, stacklevel=3)

    def _keep(self, run: Run) -> None:
        """What it has left."""
        self._files = {file.name: file.read_bytes() for file in (run.path / "model").iterdir()}
        self._node = rank() if f"model-{rank()}.json" in self._files else None  # its scaling is its own
        self.__dict__.pop("_opened", None)
        self.summary_ = run.summary

    def _forget(self) -> None:
        for name in ("_files", "_opened"):
            self.__dict__.pop(name, None)

    @property
    def _predictor(self) -> Predictor:
        if not hasattr(self, "_files"):
            raise NotFitted(f"this {type(self).__name__} is not fitted yet: call fit(X, y) first")
        if not hasattr(self, "_opened"):
            folder = Path(new_path())
            folder.mkdir(mode=0o700)
            try:
                for name, content in self._files.items():
                    (folder / name).write_bytes(content)
                self._opened = Predictor(folder, self._node)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return self._opened

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_files")

    def __getstate__(self) -> Dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_opened"}

    def __repr__(self, *unused: Any) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"


class Classifier(ClassifierMixin, _Estimator):
    __doc__ = """Trains a classifier of rows over all ranks, each on its own.

        classifier = ecl.Classifier(model="mlp:64", epochs=200).fit(X, y)      # X, y: this rank's own rows
        classifier.predict(X), classifier.predict_proba(X), classifier.score(X, y)

    """ + _Estimator.__doc__ + """

    classes_, n_features_in_, feature_names_in_ (of a DataFrame) as scikit-learn has them; classes_ are those of all
    ranks' rows. summary_: the run's summary, whose test_... are of the training rows.
    """

    _kinds = {"b": "truths", "i": "whole numbers", "u": "whole numbers", "U": "texts", "O": "texts"}

    def __init__(self, *, model: str = "softmax", solver: str = "ecl", topology: str = "ring", mode: str = "async",
                 epochs: float = 0, batch: int = 32, lr: Optional[float] = None, local_steps: int = 0, seed: int = 1,
                 **options: Any) -> None:
        """
        model:       softmax, mlp:64, mlp:256,128; ecl.tool("list") names all
        solver:      the algorithm, topology: the graph, mode: async or lock-step
        epochs:      passes over all rows; 0: 10, or for few rows as many as make 800 steps, at most 200
        batch:       rows of a step; lr: learning rate; None: ecl.train's own, 0.05, or 0.001 under optimizer="adam"
        local_steps: steps of a round; 0: 8, or as few as make 200 rounds
        options:     all others of ecl.train(): class_weights="balanced", momentum, weight_decay, lr_schedule, out, ...;
                     quiet=False shows the progress; standardise=False takes the features as they are, "own" scales them
                     by each rank's rows
        """
        self._take(locals())

    def fit(self, X: Any, y: Any, sample_weight: Optional[np.ndarray] = None) -> "Classifier":
        """X: this rank's rows, an array or DataFrame of numbers; y: their classes, numbers or texts; sample_weight: of
        each row's loss, from 0, on all ranks or none. Collective."""
        self._fit(X, y, sample_weight)
        given, names = np.asarray(y).dtype, np.array(self._predictor.classes)
        if given.kind == "b":
            classes = names == "True"
        elif given.kind in "iu":
            classes = names.astype(np.int64)
        else:
            classes = names.astype(object if given.kind == "O" else str)
        self._order = np.argsort(classes)
        self.classes_ = classes[self._order]
        return self

    def _labels(self, y: Any) -> Tuple[np.ndarray, List[str]]:
        labels = np.asarray(y)
        if labels.ndim != 1 or labels.dtype.kind not in self._kinds:
            raise mistake(f"y is {labels.dtype} of shape {labels.shape}; classes are one whole number or text for "
                          "each row")
        if labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
            raise mistake("y holds other things than texts; classes are all whole numbers, or all texts")
        names, numbers = np.unique(labels.astype(str), return_inverse=True)
        return numbers.astype("<i4"), names.tolist()

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, of the same type as y's."""
        numbers = self._predictor.numbers(X)
        return self.classes_[np.argsort(self._order)[numbers]]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Rows x classes, in the order of classes_."""
        probabilities = self._predictor.probabilities(X)
        return probabilities[:, self._order]

    def score(self, X: Any, y: Any, sample_weight: Optional[np.ndarray] = None) -> float:
        """The share of these rows, this rank's own, that predict() has right."""
        predicted = self.predict(X)
        return float(np.average(predicted == _one_each(y, len(predicted)), weights=sample_weight))


class Regressor(RegressorMixin, _Estimator):
    __doc__ = """Trains a model that predicts a number over all ranks, each on its own rows.

        regressor = ecl.Regressor(model="mlp:64", epochs=200).fit(X, y)

    """ + _Estimator.__doc__

    _kinds = dict.fromkeys("iubf", "numbers")

    def __init__(self, *, model: str = "linear", loss: str = "mse", solver: str = "ecl", topology: str = "ring",
                 mode: str = "async", epochs: float = 0, batch: int = 32, lr: Optional[float] = None,
                 local_steps: int = 0, seed: int = 1, **options: Any) -> None:
        """
        model: linear, mlp:64, ...; loss: mse, mae, huber. The others as Classifier's.
        """
        self._take(locals())

    def fit(self, X: Any, y: Any, sample_weight: Optional[np.ndarray] = None) -> "Regressor":
        """X: this rank's rows, an array or DataFrame of numbers; y: a number for each; sample_weight as Classifier's.
        Collective."""
        self._fit(X, y, sample_weight)
        return self

    def _labels(self, y: Any) -> Tuple[np.ndarray, List[str]]:
        labels = np.asarray(y)
        if labels.ndim != 1 or labels.dtype.kind not in self._kinds or not np.isfinite(labels).all():
            raise mistake(f"y is {labels.dtype} of shape {labels.shape}; a regression wants one finite number for each "
                          "row")
        return labels.astype("<f4"), []

    def predict(self, X: Any) -> np.ndarray:
        """A number for each row, in y's unit."""
        return self._predictor.values(X)

    def score(self, X: Any, y: Any, sample_weight: Optional[np.ndarray] = None) -> float:
        """R2 on these rows: 1 less the share of y's variance that is left."""
        predicted = self.predict(X)
        y = _one_each(y, len(predicted)).astype(float)
        left = np.average((y - predicted) ** 2, weights=sample_weight)
        whole = np.average((y - np.average(y, weights=sample_weight)) ** 2, weights=sample_weight)
        return float(1 - left / whole if whole > 0 else left == 0)  # of a constant as r2_score() has it


def _floats(rows: Any) -> Tuple[np.ndarray, List[str]]:
    """The rows as floats, and the names of their columns, if they have any."""
    names = [str(name) for name in rows.columns] if hasattr(rows, "columns") else []
    values = np.asarray(rows)
    if values.ndim != 2:
        raise mistake(f"X is of shape {values.shape}; fit() wants rows x columns")
    if values.size == 0:
        raise mistake(f"X is of shape {values.shape}; every rank wants a row, and a column, at least")
    try:
        with np.errstate(over="ignore"):
            values = values.astype("<f4")
    except (TypeError, ValueError):
        raise mistake("X holds values that are no numbers; encode texts first (pandas.get_dummies), or train from a "
                      "csv file with categorical=auto") from None
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise mistake(f"X, row {row + 1}, column {names[column] if names else column + 1}: the value is missing, or "
                      "beyond what a float holds; leave such rows out, or fill them in")
    return values, names


def _agree_on_classes(kind: str, classes: List[str]) -> None:
    """All ranks' y hold the same kind: True on one and 1 on another would be two classes. And no two texts are one
    number: where all are numbers '01' and '1' would be one class. Collective."""
    told = [json.loads(text) for text in gather(json.dumps([kind, classes]).encode())]
    for number, (theirs, _) in enumerate(told):
        if theirs != told[0][0]:
            raise mistake(f"rank {number}: y holds {theirs}, and rank 0's {told[0][0]}; all ranks give the same kind")
    if kind != "texts":
        return
    names = {name for _, some in told for name in some}
    first: Dict[float, str] = {}
    for name in sorted(names) if all(map(_is_number, names)) else ():
        if first.setdefault(float(name), name) != name:
            raise mistake(f"y holds '{first[float(name)]}' and '{name}', which are one number; write classes that are "
                          "numbers in one way")


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _one_each(y: Any, rows: int) -> np.ndarray:
    """What is compared with as many predictions: NumPy would make a matrix of a column, and a row of one value."""
    found = np.asarray(y)
    if found.shape != (rows,):
        raise mistake(f"y is of shape {found.shape}; score() wants one for each of {rows} rows: shape ({rows},)")
    return found


def _weights(weights: Any, rows: int) -> Optional[np.ndarray]:
    if weights is None:
        return None
    found = np.asarray(weights)
    if found.shape != (rows,) or found.dtype.kind not in "iubf" or not (np.isfinite(found) & (found >= 0)).all():
        raise mistake(f"sample_weight is {found.dtype} of shape {found.shape}; a finite number from 0 is wanted for "
                      f"each of {rows} rows")
    return found.astype("<f4")


def _write(folder: str, matrix: np.ndarray, names: List[str], labels: np.ndarray, classes: List[str],
           weights: Optional[np.ndarray]) -> None:
    """As `ecl convert` does: a folder for --dataset npy."""
    if len(matrix) != len(labels):
        raise mistake(f"X has {len(matrix)} rows, and y has {len(labels)} labels")
    os.mkdir(folder, 0o700)
    np.save(os.path.join(folder, "features.npy"), np.ascontiguousarray(matrix))
    np.save(os.path.join(folder, "labels.npy"), labels)
    if weights is not None:
        np.save(os.path.join(folder, "weights.npy"), weights)
    label = "label"
    while label in names:
        label += "_"
    table = {"columns": [*names, label] if names else [], "label": label, "features": names, "classes": classes,
             "group": "", "groups": []}
    Path(folder, "table.json").write_text(json.dumps(table))


def _option(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
