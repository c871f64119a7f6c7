"""A run's average model at work, on rows that are in memory."""

import ctypes
import difflib
import threading
import warnings
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from ecl._library import lib, must
from ecl._tool import mistake

_MISSING = {"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT"}
_TAKES_NUMBERS = -2  # what ecl_predictor_level says of a column that is not categorical


class Predictor:
    """inputs: what its columns are called, where they have names; width: how many they are; classes: names of the
    classes, by number; none of a model that predicts a number; multi_label: a row has any number of them."""

    def __init__(self, run: Union[str, Path], node: Optional[int] = None) -> None:
        """`run`: a run's directory, or its folder model/. `node`: whose scaling, after standardise=own."""
        if node is not None and node < 0:
            raise mistake(f"node={node} is none: nodes are numbered from 0")
        self._lock = threading.Lock()  # libecl predicts for one thread at a time, and Python lets others run meanwhile
        self._handle = ctypes.c_void_p()
        must(lib.ecl_predictor_open(str(run).encode(), -1 if node is None else node, ctypes.byref(self._handle)))
        self.width: int = lib.ecl_predictor_inputs(self._handle)
        names = [lib.ecl_predictor_input(self._handle, i) for i in range(self.width)]
        self.inputs: List[str] = [name.decode() for name in names if name is not None]
        self.classes: List[str] = [lib.ecl_predictor_class(self._handle, c).decode()
                                   for c in range(lib.ecl_predictor_classes(self._handle))]
        self.multi_label: bool = lib.ecl_predictor_multi_label(self._handle) == 1

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            lib.ecl_predictor_close(self._handle)

    def values(self, rows: Any) -> np.ndarray:
        """Of a regression: a number for each row, in the label's own unit, float32."""
        return self._outputs(rows, None)[:, 0]

    def probabilities(self, rows: Any) -> np.ndarray:
        """rows x classes, float32."""
        return self._outputs(rows, None)

    def numbers(self, rows: Any) -> np.ndarray:
        """Of the most probable class of each row; -1 of one that training would have left out (missing=drop)."""
        chosen: List[np.ndarray] = []
        self._outputs(rows, chosen)
        return chosen[0]

    def _outputs(self, rows: Any, chosen: Optional[List[np.ndarray]]) -> np.ndarray:
        matrix = self._matrix(rows)
        outputs = np.empty((len(matrix), max(1, len(self.classes))), np.float32)
        numbers = np.empty(len(matrix), np.int32)
        with self._lock:
            must(lib.ecl_predict(self._handle, matrix.ctypes.data, len(matrix), outputs.ctypes.data,
                                 numbers.ctypes.data))
        self._tell_filled(np.isnan(matrix) & ~np.isnan(outputs).any(axis=1)[:, None])
        if chosen is not None:
            chosen.append(numbers)
        return outputs

    def _tell_filled(self, gaps: np.ndarray) -> None:
        for i, cells in enumerate(gaps.sum(axis=0).tolist()):
            if cells:
                column = f"column '{self.inputs[i]}'" if self.inputs else f"column {i + 1}"
                instead = "none of its values" if self._categorical(i) else "the training rows' mean"
                warnings.warn(f"{cells} missing cell{'s' * (cells > 1)} of {column}: taken for {instead}", stacklevel=5)

    def _matrix(self, rows: Any) -> np.ndarray:
        """Rows as ecl_predict() takes them. Columns are found by name, those of an array by their order."""
        if isinstance(rows, Mapping):
            for name, value in rows.items():
                if isinstance(value, (list, tuple, np.ndarray)):
                    raise mistake(f"a dict is one row, and '{name}' holds {len(value)} values; give a DataFrame, or a "
                                  "list of dicts")
            rows = [rows]
        if not self.inputs and hasattr(rows, "to_numpy"):
            return self._by_order(rows.to_numpy())
        if hasattr(rows, "columns") and hasattr(rows, "to_numpy"):  # a pandas DataFrame
            if twice := [str(name) for name in rows.columns[rows.columns.duplicated()] if str(name) in self.inputs]:
                raise mistake(f"the rows have two columns '{twice[0]}'; rename one")
            table = {str(name): rows[name].to_numpy() for name in rows.columns}
        elif isinstance(rows, Sequence) and len(rows) > 0 and isinstance(rows[0], Mapping):
            keys = {str(key): key for row in rows for key in row}
            table = {name: np.array([row.get(key) for row in rows], object) for name, key in keys.items()}
        else:
            return self._by_order(np.asarray(rows))
        if not self.inputs:
            raise mistake(f"the model's {self.width} columns have no names; give an array of rows x {self.width}")
        return np.ascontiguousarray(np.stack([self._column(i, _find(name, table))
                                              for i, name in enumerate(self.inputs)], axis=1))

    def _by_order(self, rows: np.ndarray) -> np.ndarray:
        if rows.ndim == 1 and rows.size == 0:
            rows = rows.reshape(0, self.width)
        if rows.ndim == 0:
            raise mistake(f"rows are an array, a DataFrame or a list of dicts, not {str(rows)!r}; those of a file: "
                          f"ecl.tool('predict', run.path, '--data', file, '--out', predictions)")
        if rows.ndim != 2 or rows.shape[1] != self.width:
            named = f": {', '.join(self.inputs[:8])}{', ...' if self.width > 8 else ''}" if self.inputs else ""
            raise mistake(f"the rows are an array of {' x '.join(map(str, rows.shape))}, and the model takes rows x "
                          f"{self.width}{named}")
        if not any(map(self._categorical, range(self.width))) and rows.dtype.kind in "fiub":
            with np.errstate(over="ignore"):
                return np.ascontiguousarray(rows, np.float32)
        return np.ascontiguousarray(np.stack([self._column(i, rows[:, i]) for i in range(self.width)], axis=1))

    def _categorical(self, i: int) -> bool:
        return bool(self.inputs) and lib.ecl_predictor_level(self._handle, i, b"") != _TAKES_NUMBERS

    def _column(self, i: int, cells: np.ndarray) -> np.ndarray:
        """As float32: numbers, or the numbers of levels; NaN where a cell is missing."""
        if self._categorical(i):
            return self._levels(i, cells)
        if cells.dtype.kind in "fiub":
            with np.errstate(over="ignore"):
                return cells.astype(np.float32)
        found = np.empty(len(cells), np.float32)
        for row, cell in enumerate(cells):
            try:
                with np.errstate(over="ignore"):
                    found[row] = np.nan if str(cell).strip() in _MISSING else float(cell)
            except (TypeError, ValueError):
                column = f"'{self.inputs[i]}'" if self.inputs else i + 1
                raise mistake(f"row {row + 1}, column {column}: '{cell}' is no number") from None
        return found

    def _levels(self, i: int, cells: np.ndarray) -> np.ndarray:
        known: Dict[str, float] = {}
        found = np.empty(len(cells), np.float32)
        for row, cell in enumerate(cells):
            text = str(cell).strip()
            if text not in known:
                level = lib.ecl_predictor_level(self._handle, i, text.encode())
                known[text] = np.nan if level == -1 and text in _MISSING else level
            found[row] = known[text]
        if unknown := int((found == -1).sum()):
            warnings.warn(f"{unknown} cell{'s' * (unknown > 1)} of column '{self.inputs[i]}' with a value that no "
                          "training row had: taken for none", stacklevel=8)
        return found


def _find(name: str, table: Mapping[str, np.ndarray]) -> np.ndarray:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, 1)
    raise mistake(f"the rows have no column '{name}', which the model needs" +
                  (f", did you mean '{near[0]}'?" if near else ""))
