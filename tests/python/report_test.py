"""ecl report: the page's numbers are the run's, whatever became of the run; what a program or a browser reads in it."""

import csv
import fcntl
import html.parser
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import types

import numpy as np
import pytest

import ecl
from ecl._report import _command

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = os.environ["ECL_TOOL"]
HANGS_S = 100
COLUMNS = ["time_s", "node", "step", "epoch", "loss", "accuracy", "consensus_error", "bytes_sent", "messages_sent",
           "messages_taken", "stale_p50", "stale_p99", "train_loss", "messages_overwritten", "accuracy_consensus",
           "balanced_accuracy_consensus", "macro_f1_consensus", "log_loss_consensus", "auc_consensus", "rmse_consensus",
           "mae_consensus", "r2_consensus"]


class Page(html.parser.HTMLParser):
    """What the tests look at: figures, rows of tables by their data- names, text, addresses; and that tags match."""

    VOID = ("meta", "input", "br", "path", "rect", "circle", "use", "link")

    def __init__(self, text):
        super().__init__()
        self.figures, self.rows, self.addresses, self.verdicts, self.curves, self.refresh = {}, {}, [], [], [], None
        self.open, self.words, self.row = [], [], None
        self.feed(text)
        self.close()
        assert self.open == [], self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [given[name] for name in ("href", "src", "xlink:href", "action") if name in given]
        if "data-figure" in given:
            self.figures[given["data-figure"]] = float(given["data-value"])
        if "data-verdict" in given:
            self.verdicts.append(given["data-verdict"])
        if "data-curve" in given:
            self.curves.append(given["data-curve"])
        if given.get("http-equiv") == "refresh":
            self.refresh = given["content"]
        if tag == "tr":
            name = next(((kind, given[kind]) for kind in ("data-node", "data-edge", "data-option", "data-row")
                         if kind in given), None)
            self.row = self.rows.setdefault((name[0][5:], name[1]), []) if name else None
        if tag in ("td", "th") and self.row is not None:
            self.row.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag
        if tag == "tr":
            self.row = None

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if self.row:
            self.row[-1] += data.strip()


def report(*arguments, code=0):
    done = subprocess.run([TOOL, "report", *map(str, arguments)], capture_output=True, text=True, timeout=HANGS_S)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def page_of(*runs, out):
    ecl.report(runs, out)
    return Page(out.read_text())


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run, asynchronous, with a node that is slow."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return ecl.simulate(nodes=4, partition="classes:3", epochs=6, node_speed="1:3", out=folder)


@pytest.fixture
def copy(digits, tmp_path):
    """The same once more, to be spoilt."""
    return pathlib.Path(shutil.copytree(digits.path, tmp_path / "copy"))


def ended_process():
    """The number of one that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def grow_old(run):
    os.utime(run / "status.json", (time.time() - 5400,) * 2)


def set_status(run, state, summary=False, **more):
    status = json.loads((run / "status.json").read_text())
    more = {"pid": ended_process(), **more}  # the run's own was this one
    (run / "status.json").write_text(json.dumps({**status, "state": state, **more}))
    if not summary:
        (run / "summary.json").unlink()


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def expect_numbers(page, run):
    """Of a simulated run of digits."""
    summary, last = run.summary, run.metrics[-4:]
    assert page.figures["accuracy_mean"] == summary["test_accuracy_mean"] == pytest.approx(last["accuracy"].mean())
    assert page.figures["accuracy_worst"] == summary["test_accuracy_min"] == pytest.approx(last["accuracy"].min())
    assert page.figures["accuracy_average"] == summary["test_accuracy_consensus"]
    assert page.figures["consensus_error"] == summary["consensus_error"]
    assert page.figures["bytes_sent"] == summary["bytes_sent"] == last["bytes_sent"].sum()
    assert page.figures["seconds"] == summary["seconds"]
    assert page.verdicts == [summary["verdict"]]
    for row in last:
        cells = page.rows["node", str(row["node"])]
        assert f"{row['accuracy']:.4g}" in cells and f"{row['step']:,}" in cells and f"{row['stale_p99']:g}" in cells
    for edge in table(run.path / "edges.csv"):
        cells = page.rows["edge", f"{edge['from']}-{edge['to']}"]
        assert cells[4] == f"{int(edge['messages_taken']):,}" and cells[6] == edge["age_oldest"]


def test_its_numbers_are_the_runs(digits, tmp_path):
    page = page_of(digits.path, out=tmp_path / "page.html")
    expect_numbers(page, digits)
    assert page.curves == ["accuracy", "train_loss", "consensus_error"] and page.refresh is None
    assert page.rows["option", "partition"] == ["partition", "classes:3", "iid"]
    assert page.rows["option", "node-speed"] == ["node-speed", "1:3", "none"] and ("option", "lr") not in page.rows
    assert f"ecl simulate --config {digits.path}/config.ini --out NEW" in page.text
    assert f"{digits.summary['train_samples']:,} training samples" in page.text
    assert "Nothing of that kind happened." in page.text
    assert "an equal part of all that its node sent, after the last step, too" in page.text
    assert "read, and how old: while the reader trained" in page.text


def test_it_needs_nothing_else(digits, tmp_path):
    text = ecl.report(digits.path, tmp_path / "page.html").read_text()
    assert all(address.startswith("#mark") for address in Page(text).addresses)
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    assert len(text) < 200_000


def test_in_a_browser(digits, tmp_path):
    browser = shutil.which("chromium")
    if not browser:
        pytest.skip("no chromium (Debian: chromium): the page was read by html.parser alone")
    page = ecl.report(digits.path, tmp_path / "page.html")
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                           f"--user-data-dir={tmp_path}/profile", page.as_uri()],
                          capture_output=True, text=True, timeout=HANGS_S)
    assert done.returncode == 0, done.stderr
    seen = Page(done.stdout)
    expect_numbers(seen, digits)
    lines = re.findall(r'<path class="line s(\d)" d="(M[^"]+)"', done.stdout)
    drawn = [number for number, path in lines if path.count("L") == len(digits.metrics) // 4 - 1]
    assert drawn == ["0", "1", "2"] * 3 + ["0", "1"] * 6  # over epochs, seconds, bytes: every evaluation is drawn


def test_curves_are_where_the_numbers_are(digits, tmp_path):
    """The mean accuracy over epochs, read off the picture by its own axes."""
    text = ecl.report(digits.path, tmp_path / "page.html").read_text()
    picture = text[text.index('data-curve="accuracy"'):]
    picture = picture[picture.index("<svg viewBox"):]
    ys = re.findall(r'<path class="grid" d="M\S+ (\S+)H\S+"/><text [^>]*>([\d.]+)<', picture[: picture.index("</svg>")])
    xs = re.findall(r'<path class="tick" d="M(\S+) \S+v4"/><text [^>]*>([\d.]+)<', picture[: picture.index("</svg>")])
    path = re.search(r'<path class="line s0" d="M([^"]+)"', picture).group(1)
    places = np.array([point.split() for point in path.split("L")], float)

    def scale(ticks, at):
        (p0, v0), (p1, v1) = (map(float, ticks[k]) for k in (0, -1))
        return v0 + (at - p0) / (p1 - p0) * (v1 - v0)

    metrics = digits.metrics.reshape(-1, 4)
    assert scale(xs, places[:, 0]) == pytest.approx(metrics["epoch"].mean(axis=1), abs=0.02)
    assert scale(ys, places[:, 1]) == pytest.approx(metrics["accuracy"].mean(axis=1), abs=0.2)


def test_several_side_by_side(digits, tmp_path):
    runs = [digits] + [ecl.simulate(nodes=4, partition="classes:3", epochs=6, settle=0, solver=solver,
                                    out=tmp_path / solver) for solver in ("dpsgd", "local")]
    page = page_of(*(run.path for run in runs), out=tmp_path / "page.html")
    assert page.rows["row", "accuracy_mean"][1:] == [f"{run.summary['test_accuracy_mean']:.2f} %" for run in runs]
    assert page.rows["row", "verdict"][1:] == [run.verdict for run in runs] == page.verdicts
    assert page.rows["option", "node-speed"][:4] == ["node-speed", "1:3", "-", "-"]
    assert page.rows["option", "solver"][:4] == ["solver", "ecl", "dpsgd", "local"]
    assert ("option", "lr") not in page.rows
    text = (tmp_path / "page.html").read_text()
    assert f'<td class="best">{max(run.summary["test_accuracy_mean"] for run in runs):.2f} %</td>' in text


def test_simulated_and_real_seconds_are_told_apart(digits, copy, tmp_path):
    head = (copy / "config.ini").read_text()
    (copy / "config.ini").write_text(head.replace("# ecl simulate", "# ecl train", 1))
    seconds, out = f"{digits.summary['seconds']:.3g} s", tmp_path / "page.html"
    both = ": virtual of the simulated runs, real of the others"
    for runs, cells, axis in (
            ((digits.path, copy), [f"{seconds} virtual", seconds], both),
            ((copy, digits.path), [seconds, f"{seconds} virtual"], both),
            ((copy, copy), [seconds, seconds], ""),
            ((digits.path, digits.path), [f"{seconds} virtual"] * 2, ", virtual")):
        page = page_of(*runs, out=out)
        assert page.rows["row", "seconds"] == ["time of training", *cells]
        shared = out.read_text().partition('<details class="run">')[0]
        assert set(re.findall(r">seconds of training([^<]*)</text>", shared)) == {axis}


def killed_mid_line(run):
    set_status(run, "running", resume="ecl simulate --resume x")
    text = (run / "metrics.csv").read_text()
    (run / "metrics.csv").write_text(text[: text.rindex(",") - 60])


def no_evaluation(run):
    set_status(run, "running", step=0, epoch=0)
    (run / "metrics.csv").write_text((run / "metrics.csv").read_text().splitlines()[0] + "\n")


def barely_begun(run):
    for file in run.iterdir():
        if file.name != "config.ini":
            shutil.rmtree(file) if file.is_dir() else file.unlink()


def diverged(run):
    set_status(run, "diverged", summary=True)
    lines = (run / "metrics.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[-4:]]
    for line, value in zip(cells, ("inf", "nan", "1e30", "5000")):
        line[4] = line[12] = value
    (run / "metrics.csv").write_text("\n".join(lines[:-4] + [",".join(line) for line in cells]) + "\n")


def lost_a_rank(run):
    summary, last = json.loads((run / "summary.json").read_text()), ecl.Run(run).metrics[-4:]
    survivors = {key: int(last[key][last["node"] != 2].sum()) for key in ("bytes_sent", "messages_sent")}
    (run / "summary.json").write_text(json.dumps({**summary, **survivors, "verdict": "partial", "nodes_lost": [2]}))
    set_status(run, "partial", summary=True)
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join(lines[:-4] + [line for line in lines[-4:] if line.split(",")[1] != "2"]))
    (run / "edges.csv").unlink()
    (run / "events.csv").write_text("time_s,node,event,peer\n0.02,0,silent,3\n0.04,0,back,3\n0.05,0,died,2\n")


def lost_a_rank_and_was_stopped(run):
    lost_a_rank(run)
    nodes = json.loads((run / "status.json").read_text())["by_node"]
    nodes[1]["step"] -= 1
    set_status(run, "partial", summary=True, by_node=nodes)


def cut_short(run):
    set_status(run, "running", checkpoint=3, resume="mpirun -n 4 ecl train --resume x")
    (run / "events.csv").write_text("time_s,node,event,peer\n0.05,0,died,2\n0.0")


def fell_silent(run):
    set_status(run, "running", host="elsewhere")
    grow_old(run)


@pytest.mark.parametrize("spoil, verdict, words", [
    (killed_mid_line, "killed", ["its processes are gone", "the last line of metrics.csv is torn",
                                 "no checkpoint to go on from; to begin anew: ecl simulate --resume x"]),
    (no_evaluation, "killed", ["No evaluation yet.", "after 0 epochs"]),
    (barely_begun, "killed", ["before its first step", "there is no metrics.csv"]),
    (diverged, "diverged", ["try a smaller --lr"]),
    (lost_a_rank, "partial", ["Node 2 died. The others made their steps without it and its data. There is no "
                              "checkpoint to go on from.", "2 died",
                              "node 0 heard nothing from node 3 from 0.02 s to 0.04 s", "node 2 died at 0.05 s"]),
    (lost_a_rank_and_was_stopped, "partial", ["and its data, and were stopped before they had"]),
    (cut_short, "killed", ["Node 2 died, and the run with it", "Go on with: mpirun -n 4 ecl train --resume x"]),
    (lambda run: set_status(run, "preempted", resume="ecl simulate --resume x"), "preempted", ["A signal stopped"]),
    (fell_silent, "silent", ["on host elsewhere", "has written nothing"]),
], ids=lambda value: getattr(value, "__name__", None))
def test_whatever_became_of_it(spoil, verdict, words, copy):
    spoil(copy)
    page = Page(pathlib.Path(report(copy).strip()).read_text())
    assert page.verdicts == [verdict] and page.refresh is None
    for text in words:
        assert text in page.text
    if spoil is killed_mid_line:  # the evaluation before the torn one counts
        last = ecl.Run(copy).metrics[-7:-3]
        assert page.figures["accuracy_worst"] == last["accuracy"].min()
        assert list(last["node"]) == [0, 1, 2, 3]


def zombie():
    """A process that has ended, and waits to be collected."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process


def test_it_says_of_a_run_what_ecl_top_says(copy):
    """By the process that keeps status.json, not by locks, which not every disk knows."""
    waiting, tomorrow = zombie(), (time.time() + 86400,) * 2  # a file that is young however slow the test is
    started = int(pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    for pid, host, state, more in [(os.getpid(), None, "running", {"pid_started": started}),
                                   (os.getpid(), None, "killed", {"pid_started": started - 1}),  # another one's number
                                   (ended_process(), None, "killed", {}), (waiting.pid, None, "killed", {}),
                                   (ended_process(), "elsewhere", "running", {})]:
        set_status(copy, "running", summary=not (copy / "summary.json").is_file(), pid=pid,
                   host=host or socket.gethostname(), **more)
        os.utime(copy / "status.json", tomorrow)
        top = subprocess.run([TOOL, "top", copy], capture_output=True, text=True, timeout=HANGS_S)
        assert top.stdout.startswith(f"{copy}: {state}, ") and "no news" not in top.stdout, top.stderr
        assert page_of(copy, out=copy / "page.html").verdicts == [state]
    waiting.wait()
    grow_old(copy)  # on another host: whether it still runs is not to be seen, and both say so
    top = subprocess.run([TOOL, "top", copy], capture_output=True, text=True, timeout=HANGS_S)
    assert "; no news for 1 h 30 min: is process" in top.stdout
    assert page_of(copy, out=copy / "page.html").verdicts == ["silent"]


@pytest.mark.parametrize("left", ["running", "preempted"])
def test_a_run_that_is_taken_up_goes_on(copy, left):
    """A process reads the data, maybe for minutes: until it trains, status.json is of the one that ended."""
    set_status(copy, left)
    said = "killed" if left == "running" else "preempted"

    def verdicts():
        top = subprocess.run([TOOL, "top", copy], capture_output=True, text=True, timeout=HANGS_S).stdout
        return "processes are at work there" in top, page_of(copy, out=copy / "page.html").verdicts

    assert verdicts() == (False, [said])
    lock = os.open(copy / "config.ini", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert verdicts() == (True, ["running"])
    os.close(lock)
    assert verdicts() == (False, [said])


def test_a_run_that_reads_its_data_goes_on(copy):
    """Before the first status.json only the lock tells."""
    barely_begun(copy)
    lock = os.open(copy / "config.ini", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)  # as a run does
    assert page_of(copy, out=copy / "page.html").verdicts == ["running"]
    os.close(lock)
    assert page_of(copy, out=copy / "page.html").verdicts == ["killed"]


def test_what_a_node_sent_before_it_died_counts(copy, tmp_path):
    lost_a_rank(copy)
    page = page_of(copy, out=tmp_path / "page.html")
    metrics = ecl.Run(copy).metrics
    last = {row["node"]: row for row in metrics}  # the dead node's is of the evaluation before
    assert metrics["node"][-3:].tolist() == [0, 1, 3] and last[2]["step"] < last[0]["step"]
    assert page.figures["bytes_sent"] == sum(row["bytes_sent"] for row in last.values())
    told = f"{sum(row['messages_sent'] for row in last.values()):,} messages; of those that died, until their last"
    assert told in page.text
    assert page.rows["edge", "2-1"] == ["2", "1", f"{last[2]['bytes_sent'] / 2e3:.1f} kB",
                                        f"{last[2]['messages_sent'] / 2:,.0f}"]
    text = (tmp_path / "page.html").read_text()
    view = text[text.index('class="view over-bytes"'):]
    path = re.search(r'<path class="line s0" d="M([^"]+)"', view).group(1)
    places = [float(point.split()[0]) for point in path.split("L")]
    assert len(places) == (len(metrics) + 1) // 4 and places == sorted(places)


def test_a_stall_is_one_and_waiting_for_the_slowest_is_none(digits, copy, tmp_path):
    """The run settles: the last evaluation of three nodes waited for the fourth, which is three times slower."""
    times = digits.metrics["time_s"].reshape(-1, 4)
    gaps = np.diff(times, axis=0)[:, [0, 2, 3]]
    assert (gaps[-1] > 5 * np.median(gaps, axis=0)).all()
    assert "Nothing of that kind happened." in page_of(digits.path, out=tmp_path / "page.html").text
    metrics, config = (copy / "metrics.csv").read_text(), (copy / "config.ini").read_text()
    for command, seconds in (("simulate", 0.5), ("train", 10), ("train", 0.5)):
        (copy / "config.ini").write_text(config.replace("# ecl simulate", f"# ecl {command}", 1))
        lines = metrics.splitlines()
        for k in range(1 + 4 * 3 + 2, len(lines), 4):  # node 2 stands still before its fourth evaluation
            time_s, rest = lines[k].split(",", 1)
            lines[k] = f"{float(time_s) + seconds:.6f},{rest}"
        (copy / "metrics.csv").write_text("\n".join(lines) + "\n")
        page = page_of(copy, out=tmp_path / "page.html")
        told = f"from {times[2, 2]:.3g} s to {times[3, 2] + seconds:.3g} s; its usual time"
        found = re.findall(r"node (\d) made no evaluation (from \S+ s to \S+ s; its usual time)", page.text)
        assert set(found) == (set() if (command, seconds) == ("train", 0.5) else {("2", told)})


def test_garbled_lines_of_events_are_left_out(copy, tmp_path):
    """Several hosts append to the file: on some disks lines get torn, or holes."""
    lines = ["time_s,node,event,peer", "0.02,0,silent,3", "0.04,0,ba0.041,1,silent,3", "x,0,died,2", "0.05,0,died",
             "0.05,0,died,25", "\0\0\0\0", "\xff", "0.06,0,back,3", ""]
    (copy / "events.csv").write_bytes("\n".join(lines).encode("latin-1"))
    page = page_of(copy, out=tmp_path / "page.html")
    assert "events.csv: 6 of 8 lines garbled, and left out here" in page.text
    assert "node 0 heard nothing from node 3 from 0.02 s to 0.06 s" in page.text and "died at" not in page.text


def test_without_the_tools_defaults_nothing_is_said_of_them(digits, monkeypatch, tmp_path):
    assert re.search(r"\d+ options as by default", page_of(digits.path, out=tmp_path / "page.html").text)
    tool = tmp_path / "ecl"
    tool.write_text("#!/bin/sh\necho 'lr = 7'\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("ECL_TOOL", str(tool))
    page = page_of(digits.path, out=tmp_path / "page.html")
    assert "by default" not in page.text and not any(kind == "option" for kind, _ in page.rows)
    config = (digits.path / "config.ini").read_text().splitlines()
    assert f"{len({line.split(' = ')[0] for line in config if line[:1] != '#' and ' = ' in line})} options" in page.text
    assert "partition classes:3" in page.text


def damaged(run):
    (run / "summary.json").write_text('{"verdict": ')


def foreign_ini(run):
    (run / "config.ini").write_text("[section]\nkey = value\n")


def foreign_columns(run):
    (run / "metrics.csv").write_text("a,b\n1,2\n")


@pytest.mark.parametrize("spoil, words", [
    (damaged, "a file of the run is damaged"),
    (foreign_ini, "config.ini does not begin with command and number of nodes"),
    (foreign_columns, "metrics.csv has no column time_s"),
    (lambda run: shutil.rmtree(run), "there is no such directory"),
    (lambda run: (run / "config.ini").unlink(), "is no directory of a run"),
], ids=lambda value: getattr(value, "__name__", None))
def test_what_is_no_run_is_one_line(spoil, words, copy):
    spoil(copy)
    said = report(copy, code=2)
    assert said.count("\n") == 1 and said.startswith(f"ecl: report: '{copy}'") and words in said


def test_mistakes_are_one_line(digits, tmp_path):
    assert report(code=2) == "ecl: report: the following arguments are required: RUN (see ecl report --help)\n"
    said = report(digits.path, "--out", tmp_path / "nowhere" / "page.html", code=5)
    assert said == f"ecl: report: cannot write {tmp_path}/nowhere/page.html: No such file or directory; " \
                   "name another file with --out FILE\n"
    with pytest.raises(ecl.Error, match="at least one run"):
        ecl.report([], tmp_path / "page.html")


@pytest.mark.parametrize("module", ["jinja2", "numpy"])
def test_a_package_that_is_missing_is_named(module, digits, tmp_path):
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('none', name='{module}')\n")
    done = subprocess.run([TOOL, "report", digits.path], capture_output=True, text=True, timeout=HANGS_S,
                          env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"wants Python's {module}" in done.stderr and f"apt-get install python3-{module}" in done.stderr


def test_within_a_program_it_raises(digits, tmp_path, capsys, monkeypatch):
    page = tmp_path / "page.html"
    assert ecl.tool("report", digits.path, "--out", page) == 0 and page.is_file()
    assert capsys.readouterr() == (f"{page}\n", "")
    for arguments, code, words in (
            ((), 2, "the following arguments are required: RUN"), ((digits.path, "--ot", page), 2, "unrecognized arg"),
            ((tmp_path,), 2, "is no directory of a run"), ((digits.path, "--out", page / "a"), 5, "cannot write"),
            ((digits.path, "--watch", "--tensorboard", tmp_path), 2, "--watch renews a page")):
        with pytest.raises(ecl.Error, match=words) as caught:
            ecl.tool("report", *arguments)
        assert caught.value.code == code and "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for module in ("ecl._report._command", "ecl._report._page", "ecl._report"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ecl.Error, match="report wants Python's jinja2; on Debian: apt-get install python3-jinja2"):
        ecl.tool("report", digits.path)
    assert capsys.readouterr() == ("", "")


def test_by_the_package_and_by_the_run(digits, tmp_path):
    done = subprocess.run([sys.executable, "-B", "-m", "ecl", "report", digits.path, "--out", tmp_path / "a.html"],
                          capture_output=True, text=True, timeout=HANGS_S)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/a.html\n"), done.stderr
    path = digits.report(tmp_path / "b.html")
    made = re.compile(r"ecl report, [-\d: ]+")
    assert made.sub("", path.read_text()) == made.sub("", (tmp_path / "a.html").read_text())


def test_by_several_ranks_is_refused(digits, tmp_path):
    done = subprocess.run([sys.executable, "-B", "-m", "ecl", "report", digits.path, "--out", tmp_path / "a.html"],
                          capture_output=True, text=True, timeout=HANGS_S, env={**os.environ, "PMI_RANK": "1"})
    assert done.returncode == 1 and "works by itself: start it without mpirun" in done.stderr
    assert not (tmp_path / "a.html").exists()


def test_watch_renews_until_the_run_ends(copy, tmp_path):
    summary, metrics = (copy / "summary.json").read_text(), (copy / "metrics.csv").read_text()
    set_status(copy, "running", pid=os.getpid())
    lines = metrics.splitlines(keepends=True)
    (copy / "metrics.csv").write_text("".join(lines[:5]))
    out = tmp_path / "page.html"

    def wait_for(holds):
        end = time.monotonic() + HANGS_S
        while not holds() and time.monotonic() < end:
            time.sleep(0.02)
        assert holds()

    process = subprocess.Popen([TOOL, "report", copy, "--out", out, "--watch"], stdout=subprocess.PIPE, text=True)
    try:
        wait_for(out.exists)
        page = Page(out.read_text())
        assert page.verdicts == ["running"] and page.refresh == "5" and "1 evaluation." in page.text
        (copy / "metrics.csv").write_text(metrics)
        (copy / "summary.json").write_text(summary)
        set_status(copy, "finished", summary=True)
        assert process.communicate(timeout=HANGS_S)[0] == f"{out}\n" and process.returncode == 0
    finally:
        process.kill()
    page = Page(out.read_text())
    assert page.verdicts == ["finished"] and page.refresh is None
    assert list(tmp_path.glob("*.tmp")) == []


def test_watch_draws_every_five_seconds_and_at_the_end(copy, tmp_path, monkeypatch):
    """On a clock of its own: the run renews status.json every second, and ends after 12.5."""
    summary, clock, drawn = (copy / "summary.json").read_text(), [0.0], []
    steps = json.loads((copy / "status.json").read_text())["step"]
    set_status(copy, "running", pid=os.getpid())
    lock = os.open(copy / "config.ini", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)

    def sleep(seconds):
        clock[0] += seconds
        set_status(copy, "running" if clock[0] < 12.5 else "converged", summary=True, step=int(clock[0]),
                   pid=os.getpid())
        if clock[0] == 12.5:
            (copy / "summary.json").write_text(summary)
            os.close(lock)

    def write_page(runs, out):
        drawn.append((clock[0], runs[0].state, runs[0].status["step"]))

    monkeypatch.setattr(_command, "time", types.SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    monkeypatch.setattr(_command, "write_page", write_page)
    assert _command.main([str(copy), "--watch", "--out", str(tmp_path / "page.html")]) == 0
    assert drawn == [(0, "running", steps), (5, "running", 5), (10, "running", 10), (12.5, "converged", 12)]


def test_many_nodes(tmp_path):
    run = ecl.simulate(nodes=1000, dataset="quadratic", model="quadratic", steps=20, consensus_error=100,
                       out=tmp_path / "run")
    page = page_of(run.path, out=tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 1_000_000
    assert sum(kind == "node" for kind, _ in page.rows) == 200 and "800 others are in metrics.csv" in page.text


def test_sites_and_numbers_to_predict(tmp_path):
    """Own data, regression: RMSE beside always the mean, a row of each site."""
    random = np.random.default_rng(1)
    for node in range(2):
        x = random.normal(size=(150, 2))
        rows = np.column_stack([x, 3 * x[:, 0] + 5 + 0.1 * random.normal(size=150)])
        np.savetxt(tmp_path / f"site-{node}.csv", rows, delimiter=",", header="a,b,y", comments="", fmt="%.5f")
    run = ecl.simulate(nodes=2, dataset="csv:label=y", data=tmp_path / "site-{node}.csv", loss="mse", model="linear",
                       compare_local=True, epochs=100, out=tmp_path / "run")
    page = page_of(run.path, out=tmp_path / "page.html")
    assert page.figures["rmse"] == run.summary["test_rmse"] < run.summary["test_baseline_rmse"]
    assert page.curves == ["loss", "rmse_consensus", "train_loss", "consensus_error"]
    assert "accuracy_mean" not in page.figures
    for site in table(run.path / "sites.csv"):
        cells = page.rows["node", site["node"]]
        assert cells[1] == site["train_samples"] and site["rmse_consensus"] in cells


def test_samples_of_several_labels_are_counted_once(tmp_path):
    rows = [f"{n % 7},{n % 5},{int(n % 7 > 3)},{int(n % 7 > 2)}" for n in range(100)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,warm,dear", *rows]) + "\n")
    run = ecl.simulate(nodes=2, dataset="csv:label=warm|dear", data=tmp_path / "rows.csv", test=tmp_path / "rows.csv",
                       loss="logistic", model="linear", epochs=2, out=tmp_path / "run")
    text = ecl.report(run.path, tmp_path / "page.html").read_text()
    bars = text[text.index("Bars: "): text.index("<h2>Training")]
    assert re.findall(r'<text x="[\d.]+" y="[\d.]+">(\d+)</text>', bars) == ["50", "50"]


def test_what_a_run_leaves_for_it(tmp_path):
    """nodes.csv: who holds what. edges.csv: what each node has read in training, edge by edge."""
    digits = ecl.simulate(nodes=4, partition="classes:3", epochs=6, node_speed="1:3", settle=0, out=tmp_path / "run")
    held, edges, last = table(digits.path / "nodes.csv"), table(digits.path / "edges.csv"), digits.metrics[-4:]
    assert sum(int(row["train_samples"]) for row in held) == digits.summary["train_samples"]
    for row in held:
        counts = [int(row[str(c)]) for c in range(10)]
        assert sum(counts) == int(row["train_samples"]) and sum(count > 0 for count in counts) == 3
        assert int(row["test_samples"]) == digits.summary["test_samples"]
    assert sorted((int(e["from"]), int(e["to"])) for e in edges) == sorted(
        (i, j) for i, heard in enumerate(ecl.topology("ring", 4)) for j in heard)
    for row in last:
        mine = [edge for edge in edges if int(edge["to"]) == row["node"]]
        assert sum(int(edge["messages_taken"]) for edge in mine) == row["messages_taken"] > 0
        assert max(int(edge["age_oldest"]) for edge in mine) >= row["stale_p99"]
    old = {(e["from"], e["to"]): float(e["age_mean"]) for e in edges}
    assert min(old["1", "0"], old["1", "2"]) > 10 > max(old["3", "0"], old["3", "2"])  # node 1 is three times slower
    assert max(old["0", "1"], old["2", "1"]) == 0 and table(digits.path / "events.csv") == []


def test_columns_are_a_promise(digits):
    """New ones come at the end: then this list grows, and the README's with it."""
    assert (digits.path / "metrics.csv").read_text().splitlines()[0].split(",") == COLUMNS
    text = (ROOT / "ecl/run/README.md").read_text()
    told = text[text.index("`metrics.csv`, a row"): text.index("`confusion.csv`, of")]
    assert "`" + ",".join(COLUMNS) + "`" in told


# TensorBoard's files, read by a reader of our own.

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


def records(path):
    """The records of a file, whose checksums hold."""
    data, at = path.read_bytes(), 0

    def checked(part, stored):
        crc = crc32c(part)
        assert struct.unpack("<I", stored)[0] == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        return part

    while at < len(data):
        (length,) = struct.unpack("<Q", checked(data[at : at + 8], data[at + 8 : at + 12]))
        yield checked(data[at + 12 : at + 12 + length], data[at + 12 + length : at + 16 + length])
        at += 16 + length
    assert at == len(data)


def fields(message):
    """A protobuf message, as a list of (number, value)."""
    found, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            value, at = message[at : at + size], at + size
            value = struct.unpack({1: "<d", 5: "<f"}[key & 7], value)[0] if key & 7 in (1, 5) else value
        found.append((key >> 3, value))
    return found


def scalars(folder):
    """By tag: (step, wall time, value)."""
    (path,) = folder.iterdir()
    events = [fields(record) for record in records(path)]
    assert re.match(r"events\.out\.tfevents\.\d+", path.name) and dict(events[0])[3] == b"brain.Event:2"
    found = {}
    for event in map(dict, events[1:]):
        for _, value in fields(event[5]):
            value = dict(fields(value))
            found.setdefault(value[1].decode(), []).append((event[2], event[1], value[2]))
    return found


def test_tensorboard(digits, tmp_path):
    assert crc32c(b"123456789") == 0xE3069283  # the published check value
    assert report("--tensorboard", tmp_path / "tb", digits.path) == f"{tmp_path}/tb: 5 files\n"
    report("--tensorboard", tmp_path / "tb", digits.path)  # once more: the same files
    begun = (digits.path / "config.ini").stat().st_mtime
    metrics = digits.metrics
    for name in ("mean", "node-0", "node-3"):
        rows = metrics.reshape(-1, 4) if name == "mean" else metrics[metrics["node"] == int(name[5:])].reshape(-1, 1)
        found = scalars(tmp_path / "tb" / name)
        assert set(found) == {c for c in COLUMNS[3:] if np.isfinite(metrics[c]).any()}
        for tag in ("accuracy", "train_loss", "consensus_error", "bytes_sent"):
            steps, times, values = np.array(found[tag]).T
            assert values == pytest.approx(rows[tag].mean(axis=1), rel=1e-6)
            assert list(steps) == [row["step"][0] for row in rows]
            assert times - begun == pytest.approx(rows["time_s"].mean(axis=1), abs=1e-5)
    report("--tensorboard", tmp_path / "tb", "--watch", digits.path, code=2)
