"""What a reading means: verdict, figures, facts."""

import math
import shlex
import subprocess
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ecl._library import find
from ecl._report._numbers import column_of, duration, first, in_bytes, percent, short, total
from ecl._report._reading import Reading, last_sign_s, options_in


class Figure(NamedTuple):
    key: str
    label: str
    text: str
    value: Optional[float]
    told: str = ""


def verdict(run: Reading) -> str:
    lost, go_on = run.lost, _way_on(run)
    far = (f"after {run.status['epoch']:.4g} epochs ({run.status['step']} of {run.status['steps']} steps)"
           if "epoch" in run.status else "before its first step")
    if run.state == "converged":
        return "All steps were made, and the nodes agree on one model."
    if run.state == "finished":
        return "All steps were made; the nodes' models still differ."
    if run.state == "diverged":
        return f"The loss grew a thousandfold or out of all numbers, {far}. The model is of no use; try a smaller --lr."
    if run.state == "preempted":
        return f"A signal stopped the run {far}.{go_on}"
    if run.state == "partial":
        without = f"without {'it and its' if len(lost) == 1 else 'them and their'} data"
        stopped = any(node["step"] is not None and node["step"] < run.status["steps"] and not node["died"]
                      for node in run.status.get("by_node", []))
        others = (f"went on {without}, and were stopped before they had made their steps" if stopped
                  else f"made their steps {without}")
        return f"{_nodes(lost)} died. The others {others}.{go_on}"
    if run.state == "killed":
        why = f"{_nodes(lost)} died, and the run with it" if lost else "its processes are gone and have left no result"
        return f"The run did not end: it was cut off {far}; {why}.{go_on}"
    if run.state == "silent":
        return (f"It had not ended {far}, on host {run.status.get('host', '?')}; it has written nothing for "
                f"{duration(last_sign_s(run))}. Whether it still runs is not to be seen from here.{go_on}")
    return f"The run goes on: it stands {far}. This page shows it anew whenever its file is written anew (--watch)."


def _way_on(run: Reading) -> str:
    """A run that has left results and no checkpoint would lose them if it began anew. One that was killed may have made
    its first checkpoint after its last status.json."""
    resume = run.status.get("resume")
    checkpoint = run.status.get("checkpoint") or (run.path / "checkpoints" / "latest").is_file()
    if resume and checkpoint:
        return f" Go on with: {resume}"
    if resume and run.state in ("killed", "silent"):
        return f" There is no checkpoint to go on from; to begin anew: {resume}"
    return " There is no checkpoint to go on from." if run.state == "partial" and not checkpoint else ""


def _nodes(numbers: Sequence[int]) -> str:
    text = ", ".join(map(str, numbers))
    return f"Node {text}" if len(numbers) == 1 else f"Nodes {text}"


def figures(run: Reading) -> List[Figure]:
    """The numbers that matter: of the end, or of the latest evaluation."""
    found: List[Figure] = []

    def add(key: str, label: str, value: Any, form: Callable[[float], str], told: str = "") -> None:
        if value is not None and not (isinstance(value, float) and math.isnan(value)):
            found.append(Figure(key, label, form(value), value, told))

    last, summary = run.last, run.summary
    accuracy = column_of(last, "accuracy")
    own_tests = summary.get("accuracy_own") is not None or (
        run.status.get("accuracy", 0) is None or len({r.test_samples for r in run.held}) > 1)
    if summary:
        mean, worst, average = (summary.get(f"test_accuracy_{which}") for which in ("mean", "min", "consensus"))
    else:
        known = np.isfinite(accuracy)
        mean = float(accuracy[known].mean()) if known.any() and not own_tests else None
        worst = float(accuracy[known].min()) if known.any() and not own_tests else None
        average = first(last, "accuracy_consensus")
    add("accuracy_mean", "accuracy, mean of the nodes", mean, percent)
    add("accuracy_worst", "accuracy, worst node", worst, percent)
    baseline = summary.get("test_baseline_accuracy")
    add("accuracy_average", "accuracy, average model", average, percent,
        f"always the most frequent: {percent(baseline)}" if baseline is not None else "")
    add("accuracy_own", "accuracy, each on its own model", summary.get("accuracy_own"), percent)
    add("accuracy_alone", "accuracy, had each trained alone", summary.get("accuracy_alone"), percent)
    sites = [float(r["accuracy_consensus"]) for r in run.sites if r.get("accuracy_consensus")]
    add("accuracy_worst_site", "accuracy at the worst site, average model", min(sites) if sites else None, percent)
    rmse, baseline = summary.get("test_rmse", first(last, "rmse_consensus")), summary.get("test_baseline_rmse")
    add("rmse", "RMSE, average model", rmse, short, f"always the mean: {short(baseline)}" if baseline else "")
    add("r2", "R2, average model", summary.get("test_r2", first(last, "r2_consensus")), short)
    if mean is None and average is None and rmse is None:
        add("loss", "test loss, average model", summary.get("test_loss_consensus"), short)
    error = summary.get("consensus_error")
    if not summary and last is not None:
        error = float(np.sqrt(np.mean(last["consensus_error"] ** 2)))
    add("consensus_error", "consensus error", error, short,
        f"agreed below {run.config.get('consensus-error', ['?'])[0]}")
    add("seconds", "time of training", summary.get("seconds", run.status.get("seconds")),
        lambda value: duration(value) + (" virtual" if run.virtual else ""))
    of_all = not run.lost  # a summary knows the survivors alone
    sent, messages = (summary[key] if of_all and key in summary else total(run, key)
                      for key in ("bytes_sent", "messages_sent"))
    told = f"{messages:,} messages" if messages else ""
    add("bytes_sent", "sent by all nodes", sent, in_bytes,
        told if of_all else f"{told}; of those that died, until their last evaluation")
    add("distance_to_optimum", "distance to the optimum", summary.get("distance_to_optimum"), short)
    return found


def facts(run: Reading) -> List[Tuple[str, str]]:
    hosts: Dict[str, List[str]] = {}
    for row in run.held:
        hosts.setdefault(row.host, []).append(str(row.node))
    where = "; ".join(f"{host}: node{'s' if len(nodes) > 1 else ''} {_ranges(nodes)}" for host, nodes in hosts.items())
    repeat = f"ecl {run.subcommand} --config {shlex.quote(str(run.path / 'config.ini'))} --out NEW"
    if run.subcommand == "train":
        repeat = f"mpirun -n {run.nodes} {repeat}"
    facts = [("started as", run.command), ("to repeat it", repeat), ("nodes", str(run.nodes)),
             ("hosts", where or run.status.get("host", "not told"))]
    if run.subcommand == "replay":
        del facts[1]
    for key, label, form in (("version", "version of ecl", str), ("exchange", "messages went by", str),
                             ("dimension", "parameters", "{:,}".format),
                             ("rounds", "rounds of exchange", "{:,}".format),
                             ("exchanges_mean", "exchanges a round", "{:.3g}".format),
                             ("cpu_seconds", "processor time", duration),
                             ("peak_memory_bytes", "memory of the largest process", in_bytes)):
        if run.summary.get(key) is not None:
            facts.append((label, form(run.summary[key])))
    return facts


def _ranges(numbers: Iterable[str]) -> str:
    """1, 2, 3, 5 as 1-3, 5."""
    groups: List[List[int]] = []
    for number in map(int, numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(g[0]) if len(g) == 1 else f"{g[0]}-{g[-1]}" for g in groups)


def options(run: Reading) -> Tuple[Optional[List[Tuple[str, str, str]]], List[Tuple[str, str]]]:
    """Those that are not as by default (name, value, default), and the others. None: the defaults are not known."""
    default = _defaults("simulate" if run.subcommand == "simulate" else "train")
    if not default:
        return None, [(name, ", ".join(values)) for name, values in run.config.items()]
    differs, usual = [], []
    for name, values in run.config.items():
        value, before = ", ".join(values), ", ".join(default.get(name, []))
        if value != before:
            differs.append((name, value, before or "none"))
        else:
            usual.append((name, value))
    return differs, usual


def _defaults(command: str) -> Dict[str, List[str]]:
    """What this version of the tool does where nobody says; empty where it does not tell."""
    try:
        words = [str(find("ECL_TOOL", "ecl")), command, "--print-config"]
        shown = subprocess.run(words, capture_output=True, text=True)
        return options_in(shown.stdout) if shown.returncode == 0 else {}
    except (ImportError, OSError):
        return {}
