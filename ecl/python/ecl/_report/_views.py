"""A run's tables and pictures, as the page shows them."""

import math
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
from markupsafe import Markup

from ecl._library import Error, topology
from ecl._report import _charts
from ecl._report._charts import Band, Line, Moment, Span, Way
from ecl._report._numbers import any_number, column_of, first, has, in_bytes, of_finite, root_mean_square, short
from ecl._report._reading import Reading

X_AXES = (("epochs", "epochs"), ("seconds", "seconds of training"), ("bytes", "MB sent by all nodes"))
_MOST_ROWS = 200  # of a table by node
_MOST_MOMENTS = 400  # evaluations of a node on the time line
_MOST_LINES = 64  # nodes with a line, a place on the map or a row of bars each
_MOST_CLASSES = 24  # of a confusion matrix that is printed whole
_STALL = 5  # times a node's usual time between two evaluations
_STALL_S = 1  # at least, by a real clock: less may be the operating system's


def data(run: Reading) -> Optional[Dict[str, Any]]:
    """Who holds what."""
    if not run.held:
        return None
    names = run.classes
    shown = run.held[:_MOST_LINES]
    counts = {r.node: r.classes for r in shown}
    hosts = {r.node: r.host for r in shown}
    trains = [r.train_samples for r in run.held]
    samples = {r.node: r.train_samples for r in shown}
    return {"picture": _charts.class_bars(counts, names, hosts, samples) if names else None,
            "left_out": len(run.held) - len(shown), "train": sum(trains), "least": min(trains), "most": max(trains)}


def curves(runs: Sequence[Reading]) -> List[Dict[str, Any]]:
    """Pictures of what changes in training, each over epochs, seconds and bytes."""
    runs = [run for run in runs if run.evaluations]
    axes = {**dict(X_AXES), "seconds": "seconds of training" + _clocks(runs)}
    classes = any(np.isfinite(column_of(run.last, "accuracy")).any() for run in runs)
    pictures = []
    for column, label, worst, average, limits in (
            ("accuracy", "test accuracy, %", np.min, "accuracy_consensus", (0, 100)),
            ("loss", "test loss", np.max, None, (0, math.inf)),
            ("rmse_consensus", "RMSE of the average model", None, None, (0, math.inf)),
            ("train_loss", "training loss", np.max, None, (0, math.inf)),
            ("consensus_error", "consensus error", np.max, None, (0, math.inf))):
        if column == "loss" and classes or not any(any_number(run, column) for run in runs):
            continue
        level = None
        if column == "consensus_error":
            limit = {run.config.get("consensus-error", [""])[0] for run in runs}
            try:
                level = (float(limit.pop()), "agreed below") if len(limit) == 1 else None
            except ValueError:
                pass
        views = {name: _view(runs, name, x_label, column, label, worst, average, limits, level)
                 for name, x_label in axes.items()}
        pictures.append({"name": column, "label": label.split(",")[0], "views": views,
                         "legend": _legend(runs, column, worst, average)})
    return pictures


def _clocks(runs: Sequence[Reading]) -> str:
    """Whose seconds they are."""
    virtual = [run.virtual for run in runs]
    if any(virtual) and not all(virtual):
        return ": virtual of the simulated runs, real of the others"
    return ", virtual" if any(virtual) else ""


def _legend(runs: Sequence[Reading], column: str, worst: Any, average: Optional[str]) -> List[Tuple[int, str]]:
    if len(runs) > 1:
        return [(k % _charts.STYLES, run.name) for k, run in enumerate(runs)]
    if worst is None:
        return []
    found = [(0, "mean of the nodes" if column != "consensus_error" else "root mean square"), (1, "worst node")]
    return [*found, (2, "average model")] if average and any_number(runs[0], average) else found


def _view(runs: Sequence[Reading], x_name: str, x_label: str, column: str, label: str, worst: Any,
          average: Optional[str], limits: Tuple[float, float], level: Optional[Tuple[float, str]]) -> Markup:
    drawn: List[Line] = []
    bands: List[Band] = []
    for k, run in enumerate(runs):
        x = _x_of(run, x_name)
        values = [column_of(rows, column) for rows in run.evaluations]
        middle = root_mean_square if column == "consensus_error" else np.mean
        mean = np.array([of_finite(middle, v) for v in values])
        style = k % _charts.STYLES if len(runs) > 1 else 0
        drawn.append(Line(x, mean, style, run.name if len(runs) > 1 else "mean of the nodes"))
        if worst is None:
            continue
        far = np.array([of_finite(worst, v) for v in values])
        if len(runs) > 1:
            bands.append(Band(x, np.minimum(mean, far), np.maximum(mean, far), style))
            continue
        drawn.append(Line(x, far, 1, "worst node"))
        if average and any_number(run, average):
            of_average = np.array([first(rows, average) for rows in run.evaluations], float)
            drawn.append(Line(x, of_average, 2, "average model"))
        if 1 < run.nodes <= _MOST_LINES:
            drawn += _node_lines(run, x_name, column)
        else:
            bands.append(Band(x, np.array([of_finite(np.min, v) for v in values]),
                              np.array([of_finite(np.max, v) for v in values]), 0))
    return _charts.lines(drawn, x_label, label, bands, _wants_logarithm(column, drawn), limits, level)


def _node_lines(run: Reading, x_name: str, column: str) -> List[Line]:
    """Of each node by its own clock."""
    points: Dict[int, List[Tuple[float, float]]] = {}
    for x_of_all, rows in zip(_x_of(run, x_name), run.evaluations):
        for row, value in zip(rows, column_of(rows, column)):
            x = row["time_s"] if x_name == "seconds" else x_of_all
            points.setdefault(int(row["node"]), []).append((x, value))
    return [Line(*np.array(of_node).T, None, f"node {node}") for node, of_node in points.items()]


def _x_of(run: Reading, name: str) -> np.ndarray:
    """Of each evaluation; what a node had sent before it died counts on."""
    if name != "bytes":
        return np.array([rows["epoch" if name == "epochs" else "time_s"].mean() for rows in run.evaluations])
    sent, sums = np.zeros(run.nodes), []
    for rows in run.evaluations:
        sent[rows["node"]] = rows["bytes_sent"]
        sums.append(sent.sum() / 1e6)
    return np.array(sums)


def _wants_logarithm(column: str, drawn: Sequence[Line]) -> bool:
    if column == "accuracy":
        return False
    values = np.concatenate([line.y for line in drawn])
    values = values[np.isfinite(values) & (values > 0)]
    return len(values) > 0 and (column == "consensus_error" or values.max() > 50 * values.min())


def graph_map(run: Reading) -> Optional[Dict[str, Any]]:
    """Who hears whom, how much went there and how old it was."""
    if run.nodes < 2:
        return None
    lists = _neighbours(run)
    if lists is None:
        return {"picture": None, "edges": [], "ages": False, "left_out": 0}
    latest = run.latest
    sent = {node: (row["bytes_sent"], row["messages_sent"]) for node, row in latest.items()}
    heard = {(edge.source, edge.to): edge for edge in run.edges}
    ways: Dict[Tuple[int, int], Way] = {}
    table = []
    pairs = sorted(heard) or [(i, j) for j, of_node in enumerate(lists) for i in of_node]  # it tells whom each hears
    degree = [sum(1 for pair in pairs if pair[0] == node) for node in range(run.nodes)]
    for i, j in pairs:
        size, messages = (v / degree[i] for v in sent.get(i, (0, 0)))
        edge = heard.get((i, j))
        told = f"{in_bytes(size)} in {messages:,.0f} messages sent"
        if edge:
            told += (f"; in training {edge.taken:,} read, {edge.age_mean:.3g} steps old on average, "
                     f"{edge.age_oldest} at most")
        ways[i, j] = Way(size / 1e6, edge.age_mean if edge and edge.taken else None, told)
        table.append((i, j, in_bytes(size), f"{messages:,.0f}", edge))
    told = {node: f"node {node}: {row['step']} steps" for node, row in latest.items()}
    drawn = _charts.graph(run.nodes, ways, run.lost, told) if run.nodes <= _MOST_LINES else None
    return {"picture": drawn, "edges": table[:_MOST_ROWS], "left_out": max(0, len(table) - _MOST_ROWS),
            "ages": bool(run.edges)}


def _neighbours(run: Reading) -> Optional[List[List[int]]]:
    if run.edges:
        return [[] for _ in range(run.nodes)]  # they tell it
    try:
        return topology(run.config.get("topology", ["ring"])[0].strip('"'), run.nodes,
                        seed=int(run.config.get("seed", ["1"])[0]))
    except (Error, ValueError):  # a file that is gone
        return None


def table(run: Reading) -> Optional[Dict[str, Any]]:
    """A row for each node, at its latest evaluation."""
    if not run.evaluations:
        return None
    latest = run.latest
    sites, held = {int(r["node"]): r for r in run.sites}, {r.node: r for r in run.held}
    lost = run.lost
    columns: List[Tuple[str, Callable[[int, Any], str]]] = [
        ("samples", lambda i, row: str(held[i].train_samples) if i in held else ""),
        ("to test on", lambda i, row: str(held[i].test_samples) if i in held else ""),
        ("accuracy, %", lambda i, row: short(row["accuracy"])),
        ("loss", lambda i, row: short(row["loss"])),
        *((label, lambda i, row, key=key: sites.get(i, {}).get(key, "")) for key, label in (
            ("accuracy_consensus", "average model, %"), ("accuracy_alone", "alone, %"),
            ("baseline_accuracy", "most frequent class, %"), ("rmse_consensus", "RMSE, average model"),
            ("baseline_rmse", "RMSE of the mean"))),
        ("consensus error", lambda i, row: short(row["consensus_error"])),
        ("steps", lambda i, row: f"{row['step']:,}"),
        ("seconds", lambda i, row: short(row["time_s"])),
        ("sent", lambda i, row: in_bytes(row["bytes_sent"])),
        ("messages sent", lambda i, row: f"{row['messages_sent']:,}"),
        ("read", lambda i, row: f"{row['messages_taken']:,}"),
        ("never read", lambda i, row: f"{row['messages_overwritten']:,}" if has(row, "messages_overwritten") else ""),
        ("age when read, steps: median", lambda i, row: short(row["stale_p50"])),
        ("99 %", lambda i, row: short(row["stale_p99"])),
    ]
    nodes = sorted(latest)
    if len(nodes) > _MOST_ROWS:  # those that do worst
        sign, by = (1, "accuracy") if np.isfinite(column_of(run.last, "accuracy")).any() else (-1, "consensus_error")
        nodes = sorted(sorted(nodes, key=lambda i: sign * latest[i][by])[:_MOST_ROWS])
    rows = [(i, i in lost, [form(i, latest[i]) for _, form in columns]) for i in nodes]
    kept = [k for k in range(len(columns)) if any(cells[k] not in ("", "-") for _, _, cells in rows)]
    return {"columns": [columns[k][0] for k in kept], "left_out": len(latest) - len(nodes),
            "rows": [(i, dead, [cells[k] for k in kept]) for i, dead, cells in rows]}


def confusion(run: Reading) -> Optional[Dict[str, Any]]:
    if len(run.confusion) < 2:
        return None
    names = run.confusion[0][1:]
    counts = np.array([[float(cell) for cell in line[1:]] for line in run.confusion[1:]])
    sums = np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    share = counts / sums
    wrong = sorted(((share[i, j], counts[i, j], names[i], names[j]) for i, j in np.argwhere(counts > 0) if i != j),
                   reverse=True)[:3]
    whole = len(names) <= _MOST_CLASSES
    rows = [(names[i], [(f"{counts[i, j]:g}", round(float(share[i, j]), 3), i == j) for j in range(len(names))],
             f"{100 * share[i, i]:.1f}") for i in range(len(names))] if whole else []
    return {"names": names, "rows": rows, "wrong": [(a, b, f"{n:g}", f"{100 * s:.1f}") for s, n, a, b in wrong]}


def time_line(run: Reading) -> Optional[Dict[str, Any]]:
    """When each node was at its evaluations, and what befell it between."""
    times: Dict[int, List[float]] = {}
    for rows in run.evaluations:
        for row in rows:
            times.setdefault(int(row["node"]), []).append(float(row["time_s"]))
    if not times:
        return None
    end = max([at[-1] for at in times.values()] + [event.time_s for event in run.events])
    spans: List[Span] = []
    moments: List[Moment] = []
    told: List[str] = []
    died = {event.peer: event.time_s for event in run.events if event.event == "died"}
    last_whole = min(died.values(), default=math.inf)  # after a death nobody evaluates until the end
    last_step = run.status.get("steps")  # after which all wait for the slowest
    least_s = 0 if run.virtual else _STALL_S
    latest = run.latest
    for node, at in times.items():
        stops = died.get(node, at[-1])
        spans.append(Span(node, 0, stops, "trains", f"node {node}: {len(at)} evaluations"))
        moments += [Moment(node, t, "evaluated", f"node {node} evaluated at {t:.3g} s")
                    for t in at[::1 + len(at) // _MOST_MOMENTS]]
        paced = at[:-1] if latest[node]["step"] == last_step else at
        gaps = np.diff([0.0, *(t for t in paced if t <= last_whole)])
        usual = float(np.median(gaps)) if len(gaps) > 2 else math.inf
        for k, gap in enumerate(gaps):
            if gap > max(_STALL * usual, least_s):
                told.append(f"node {node} made no evaluation from {at[k] - gap:.3g} s to {at[k]:.3g} s; its usual time "
                            f"between two is {usual:.2g} s")
                spans.append(Span(node, at[k] - gap, at[k], "stall", told[-1]))
    for event in sorted(run.events):
        if event.event == "silent":
            back = [e.time_s for e in run.events if e.event == "back" and (e.node, e.peer) == (event.node, event.peer)
                    and e.time_s > event.time_s]
            until = min([*back, died.get(event.peer, end)])
            told.append(f"node {event.node} heard nothing from node {event.peer} from {event.time_s:.3g} s to "
                        f"{until:.3g} s")
            spans.append(Span(event.peer, event.time_s, max(until, event.time_s), "silent", told[-1]))
        elif event.event in ("died", "refused"):
            word = "died" if event.event == "died" else f"sent node {event.node} an infinity or a NaN"
            told.append(f"node {event.peer} {word} at {event.time_s:.3g} s")
            moments.append(Moment(event.peer, event.time_s, event.event, told[-1]))
    nodes = sorted(times)
    if len(nodes) > _MOST_LINES:  # those to which something happened
        befallen = [m.node for m in moments if m.kind != "evaluated"] + [s.node for s in spans if s.kind != "trains"]
        nodes = sorted(set(befallen))[:_MOST_LINES]
    picture = _charts.time_line(nodes, spans, moments, end) if nodes else None
    return {"picture": picture, "told": told[:40], "left_out": max(0, len(told) - 40), "calm": not told}
