"""Numbers of metrics.csv, and how numbers are written."""

import math
from typing import Any, Callable, Optional

import numpy as np

from ecl._report._reading import Reading


def column_of(rows: Optional[np.ndarray], column: str) -> np.ndarray:
    """NaN where there is none."""
    if rows is None or column not in rows.dtype.names or rows[column].dtype.kind not in "if":
        return np.full(0 if rows is None else len(rows), np.nan)
    return rows[column].astype(float)


def any_number(run: Reading, column: str) -> bool:
    return any(np.isfinite(column_of(rows, column)).any() for rows in run.evaluations)


def first(rows: Optional[np.ndarray], column: str) -> Optional[float]:
    values = column_of(rows, column)
    return float(values[0]) if len(values) and np.isfinite(values[0]) else None


def total(run: Reading, column: str) -> Optional[int]:
    """Over all nodes, of those that died as far as is known."""
    return sum(int(row[column]) for row in run.latest.values()) if run.evaluations else None


def of_finite(what: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(what(values)) if len(values) else math.nan


def root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def percent(value: float) -> str:
    return f"{value:.2f} %"


def short(value: float) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "infinite"
    return f"{value:.1e}" if value and (abs(value) < 1e-3 or abs(value) >= 1e6) else f"{value:.4g}"


def in_bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def has(row: Any, column: str) -> bool:
    return column in row.dtype.names
