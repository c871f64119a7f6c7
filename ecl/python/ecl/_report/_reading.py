"""What a run's directory says at this moment, however the run ended, or while it goes on."""

import csv
import fcntl
import json
import os
import re
import shlex
import socket
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Union

import numpy as np

from ecl._run import _table
from ecl._tool import mistake

_OLD_S = 10  # status.json is renewed about every second
_STARTED = 19  # of the fields of /proc/PID/stat, from the one after the name
ENDED = ("converged", "finished", "diverged", "preempted", "partial")


class Edge(NamedTuple):
    """A line of edges.csv: what `to` has read from `source`, ages in steps of `to`."""

    source: int
    to: int
    taken: int
    age_mean: float
    age_oldest: int
    refused: int


class Held(NamedTuple):
    """A line of nodes.csv."""

    node: int
    host: str
    train_samples: int
    test_samples: int
    classes: List[int]  # training samples of each


class Event(NamedTuple):
    """A line of events.csv: at time_s `node` told this of `peer`."""

    time_s: float
    node: int
    event: str
    peer: int


class Reading(NamedTuple):
    path: Path
    name: str
    state: str  # a verdict, running, silent (on another host, where it may have ended) or killed
    command: str  # "ecl train ..."
    nodes: int
    config: Dict[str, List[str]]  # as written
    status: Dict[str, Any]
    summary: Dict[str, Any]  # empty where the run has not ended
    evaluations: List[np.ndarray]  # rows of metrics.csv, those of an evaluation together, in the order of the nodes
    classes: List[str]  # their names
    held: List[Held]
    sites: List[Dict[str, str]]  # sites.csv
    edges: List[Edge]
    events: List[Event]
    confusion: List[List[str]]  # confusion.csv, names first
    notes: List[str]  # what is odd about the files

    @property
    def ended(self) -> bool:
        return self.state in ENDED or self.state == "killed"

    @property
    def last(self) -> Optional[np.ndarray]:
        return self.evaluations[-1] if self.evaluations else None

    @property
    def latest(self) -> Dict[int, np.void]:
        """Each node's last row: one that died has none in the evaluations after."""
        found: Dict[int, np.void] = {}
        for rows in reversed(self.evaluations):
            for row in rows:
                found.setdefault(int(row["node"]), row)
            if len(found) == self.nodes:
                break
        return found

    @property
    def lost(self) -> List[int]:
        """Nodes that died."""
        if self.summary:
            return sorted(self.summary.get("nodes_lost", []))
        return sorted({event.peer for event in self.events if event.event == "died"})

    @property
    def subcommand(self) -> str:
        words = _words(self.command)
        return words[1] if len(words) > 1 else "train"

    @property
    def virtual(self) -> bool:
        """Its seconds are the simulator's."""
        return self.subcommand == "simulate"


def read(path: Union[str, Path]) -> Reading:
    """Raises Error where there is no run, or a file of it is no such file."""
    path = Path(path)
    if not path.is_dir():
        raise mistake(f"'{path}': there is no such directory; give the DIR of a run's --out DIR")
    if not (path / "config.ini").is_file():
        raise mistake(f"'{path}' is no directory of a run: it has no config.ini")
    try:
        return _read(path)
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise mistake(f"'{path}': a file of the run is damaged, or not ecl's: {error}") from None
    except OSError as error:
        raise mistake(f"'{path}': {error.filename}: {error.strerror}") from None


def goes_on(path: Union[str, Path]) -> bool:
    """Whether the run trains, by its small files; False, too, where read() has something to say."""
    path = Path(path)
    try:
        return _state(path, _json(path / "status.json"), _json(path / "summary.json")) == "running"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read(path: Path) -> Reading:
    text = (path / "config.ini").read_text(encoding="utf-8")
    head = text.splitlines()[:2]
    if len(head) < 2 or not head[0].startswith("# ecl ") or not head[1].startswith("# on "):
        raise mistake(f"'{path}': config.ini does not begin with command and number of nodes, as ecl writes it")
    status, summary = _json(path / "status.json"), _json(path / "summary.json")
    state = _state(path, status, summary)
    notes: List[str] = []
    nodes = int(head[1].split()[2])
    evaluations = _evaluations(path / "metrics.csv", notes)
    if evaluations and state != "partial" and len(evaluations[-1]) < nodes:
        evaluations.pop()  # half written
    return Reading(path=path, name=path.resolve().name, state=state, command=head[0][2:], nodes=nodes,
                   config=options_in(text), status=status,
                   summary=summary if state in ENDED else {}, evaluations=evaluations,
                   classes=(_lines(path / "nodes.csv") or [[]])[0][4:],
                   held=_held(path / "nodes.csv"), sites=_rows(path / "sites.csv") if state in ENDED else [],
                   edges=[Edge(int(r["from"]), int(r["to"]), int(r["messages_taken"]), float(r["age_mean"]),
                               int(r["age_oldest"]), int(r["messages_refused"]))
                          for r in _rows(path / "edges.csv")] if state in ENDED else [],
                   events=_events(path / "events.csv", nodes, notes),
                   confusion=_lines(path / "confusion.csv") if state in ENDED else [], notes=notes)


def _state(path: Path, status: Dict[str, Any], summary: Dict[str, Any]) -> str:
    """As of `ecl top`: a run whose status.json says nothing of its end goes on as long as the process that keeps it is
    there. Of another host's processes nothing is to be seen from here: it goes on as long as it renews the file."""
    written = status.get("state", "running")
    if written == "preempted" and _locked(path):  # a process reads its data, to go on
        return "running"
    if written in ENDED:
        return written
    if summary.get("verdict") in ENDED and _age(path / "summary.json") <= _age(path / "status.json"):
        return summary["verdict"]
    if not status:  # it reads its data, or ended before it trained
        return "running" if _locked(path) else "killed"
    if status["host"] == socket.gethostname():
        return "running" if _is_there(status["pid"], status.get("pid_started")) or _locked(path) else "killed"
    return "running" if _age(path / "status.json") <= _OLD_S else "silent"


def _is_there(pid: int, started: Optional[int]) -> bool:
    """A process of this host that was started then, and does not merely wait to be collected; when, the system's ticks,
    is not in files of before. The number alone may be another's by now."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = text[text.rfind(")") + 1 :].split()  # a name may hold anything
    return len(fields) > _STARTED and fields[0] not in "ZX" and started in (None, int(fields[_STARTED]))


def _locked(path: Path) -> bool:
    """A run's processes lock its config.ini, where the disk knows locks. The first look may meet another's."""
    if not _lock_fails(path):
        return False
    time.sleep(0.02)
    return _lock_fails(path)


def _lock_fails(path: Path) -> bool:
    file = path / "config.ini"
    handle = os.open(file, os.O_RDWR if os.access(file, os.W_OK) else os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime if path.is_file() else float("inf")


def last_sign_s(run: Reading) -> float:
    """Seconds since the run has written something."""
    return min(_age(run.path / name) for name in ("status.json", "metrics.csv", "config.ini"))


def options_in(text: str) -> Dict[str, List[str]]:
    """Of a config.ini, as written."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#") and " = " in line:
            name, value = line.split(" = ", 1)
            found.setdefault(name, []).append(value)
    return found


def _json(path: Path) -> Dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no object")
    return found


def _lines(path: Path) -> List[List[str]]:
    """Cells of the whole lines."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))


def _rows(path: Path) -> List[Dict[str, str]]:
    lines = _lines(path)
    return [dict(zip(lines[0], line)) for line in lines[1:] if len(line) == len(lines[0])]


def _held(path: Path) -> List[Held]:
    """By position: a class may be called as a column is."""
    return [Held(int(node), host, int(train), int(test), list(map(int, counts)))
            for node, host, train, test, *counts in _lines(path)[1:]]


def _events(path: Path, nodes: int, notes: List[str]) -> List[Event]:
    """Several hosts may append to it: not every disk that they share keeps their lines apart."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = text.split("\n")[1:-1]
    found = [re.fullmatch(r"(\d+\.?\d*),(\d+),(silent|back|refused|died),(\d+)", line) for line in lines]
    events = [Event(float(line[1]), int(line[2]), line[3], int(line[4])) for line in found if line]
    events = [event for event in events if max(event.node, event.peer) < nodes]
    if len(events) < len(lines):
        notes.append(f"events.csv: {len(lines) - len(events)} of {len(lines)} lines garbled, and left out here")
    return events


def _evaluations(path: Path, notes: List[str]) -> List[np.ndarray]:
    """A run that was killed may leave half a line, or half an evaluation, which other nodes have not reached."""
    if not path.is_file():
        notes.append("there is no metrics.csv: the first rank's host keeps it, or the run had not begun")
        return []
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        notes.append("the last line of metrics.csv is torn and left out")
    table = _table(path)
    for name in ("time_s", "node", "step", "epoch", "consensus_error", "bytes_sent"):
        if len(table) and name not in table.dtype.names:
            raise ValueError(f"metrics.csv has no column {name}")
    starts = [0, *[k for k in range(1, len(table)) if table["node"][k] <= table["node"][k - 1]]] if len(table) else []
    return [table[start:end] for start, end in zip(starts, [*starts[1:], len(table)])]


def _words(command: str) -> List[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
