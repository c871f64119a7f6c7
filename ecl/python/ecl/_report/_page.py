"""The page: what the readings mean in words, tables and pictures, and the file that holds it."""

import datetime
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

import jinja2

from ecl._library import Error
from ecl._report import _charts, _views, _words
from ecl._report._reading import Reading
from ecl._tool import mistake

RENEWED_S = 5  # how often the page of a run that goes on is written anew (--watch), and loads itself again


def write_page(runs: Sequence[Reading], out: Path) -> Path:
    """In one piece: whoever looks sees the old page or the new one. Raises Error."""
    if not runs:
        raise mistake("give the directory of at least one run")
    text = page(runs)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=out.name, suffix=".tmp")
        os.fchmod(handle, 0o666 & ~_umask())
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, out)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        failed = Error(f"cannot write {out}: {error.strerror}; name another file with --out FILE")
        failed.code = 5
        raise failed from None
    return out


def page(runs: Sequence[Reading]) -> str:
    """The text of it."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    named = _named(runs)
    return environment.get_template("page.html").render(
        title=" and ".join(run.name for run in named) if len(named) < 3 else f"{len(named)} runs",
        runs=[_about(run) for run in named], styles=range(_charts.STYLES), key=_charts.key, x_axes=_views.X_AXES,
        comparison=_comparison(named) if len(named) > 1 else None,
        renewed_s=RENEWED_S if any(run.state == "running" for run in named) else None,
        made=datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"))


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _named(runs: Sequence[Reading]) -> List[Reading]:
    """By the last part of their paths, if that tells them apart."""
    names = [run.name for run in runs]
    return [run._replace(name=str(run.path)) if names.count(run.name) > 1 else run for run in runs]


def _about(run: Reading) -> Dict[str, Any]:
    differs, usual = _words.options(run)
    return {
        "run": run,
        "mood": "good" if run.state in ("converged", "running") else
                "bad" if run.state in ("diverged", "killed", "partial") else "fair",
        "words": _words.verdict(run),
        "figures": _words.figures(run),
        "warnings": [*run.summary.get("warnings", []), *run.notes],
        "differs": differs,
        "usual": usual,
        "facts": _words.facts(run),
        "data": _views.data(run),
        "curves": _views.curves([run]),
        "map": _views.graph_map(run),
        "table": _views.table(run),
        "confusion": _views.confusion(run),
        "time_line": _views.time_line(run),
    }


def _comparison(runs: Sequence[Reading]) -> Dict[str, Any]:
    """Results and options beside each other; the same axes for all."""
    figures = [{figure.key: figure for figure in _words.figures(run)} for run in runs]
    rows = []
    for key in dict.fromkeys(key for of_run in figures for key in of_run):
        known = [of_run[key] for of_run in figures if key in of_run]
        best_of = max if key.startswith("accuracy") or key == "r2" else min if key in ("rmse", "loss") else None
        several = len({figure.text for figure in known}) > 1
        best = best_of(known, key=lambda figure: figure.value).text if best_of and several else None
        cells = [of_run[key].text if key in of_run else "" for of_run in figures]
        rows.append((key, known[0].label, [(text, text == best) for text in cells]))
    options = []
    for name in dict.fromkeys(name for run in runs for name in run.config):
        values = [", ".join(run.config.get(name, ["-"])) for run in runs]
        usual = max(values, key=values.count)
        if len(set(values)) > 1:
            options.append((name, [(value, value != usual) for value in values]))
    if len({run.nodes for run in runs}) > 1 and not any(name == "nodes" for name, _ in options):
        options.insert(0, ("nodes", [(str(run.nodes), False) for run in runs]))
    return {"figures": rows, "options": options, "curves": _views.curves(runs),
            "names": [(k % _charts.STYLES, run.name, run.state) for k, run in enumerate(runs)]}
