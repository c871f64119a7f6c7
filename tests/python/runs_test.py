"""Runs made and read in Python: the bytes of the tool's own, and the same predictions. One process; where ranks are
wanted this starts mpirun itself."""

import csv
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import numpy as np
import pytest

import ecl

MPIEXEC = os.environ.get("ECL_MPIEXEC", "mpirun")
TOOL = os.environ["ECL_TOOL"]
HANGS_S = 100
OPTIONS = {"nodes": 4, "partition": "classes:3", "model": "mlp:9", "epochs": 2, "mode": "lock-step",
           "set": {"theta": 0.4}, "compare_local": False, "momentum": None}


def tool(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=HANGS_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_table(path, rows, seed, columns=("age", "colour", "dose")):
    """Numbers, text, gaps; the label follows from them."""
    random = np.random.default_rng(seed)
    table = []
    for _ in range(rows):
        age, colour, dose = random.normal(40, 10), random.choice(["red", "black", "white"]), random.normal()
        label = "ill" if (age - 40) / 10 + dose + (colour == "red") > 0.5 else "well"
        table.append({"age": "" if random.random() < 0.1 else f"{age:.3f}", "colour": colour, "dose": f"{dose:.5g}",
                      "label": label})
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "label"])
        writer.writeheader()
        writer.writerows(table)
    return table


@pytest.fixture(scope="module")
def digits():
    return ecl.simulate(**OPTIONS)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """A run on a table with text and gaps, new rows, and what the tool predicts of them."""
    folder = tmp_path_factory.mktemp("patients")
    write_table(folder / "train.csv", 300, 1)
    rows = write_table(folder / "new.csv", 50, 2)
    run = ecl.simulate(nodes=2, dataset="csv:categorical=auto,missing=indicator", data=folder / "train.csv", epochs=30,
                       model="mlp:4", out=folder / "run")
    return run, rows, list(csv.DictReader(tool("predict", folder / "run", "--data", folder / "new.csv").splitlines()))


def test_a_run_has_the_bytes_of_the_tools(digits, tmp_path):
    tool("simulate", "--nodes", 4, "--partition", "classes:3", "--model", "mlp:9", "--epochs", 2, "--mode", "lock-step",
         "--set", "theta=0.4", "--quiet", "--out", tmp_path / "run")
    for name in ("metrics.csv", "model/model.safetensors", "config.ini"):
        ours, theirs = (digits.path / name).read_bytes(), (tmp_path / "run" / name).read_bytes()
        assert ours.split(b"\n")[name == "config.ini" :] == theirs.split(b"\n")[name == "config.ini" :], name
    theirs = json.loads((tmp_path / "run" / "summary.json").read_text())
    clocks = {name for name in theirs if "seconds" in name} | {"command", "peak_memory_bytes"}
    assert {k: v for k, v in digits.summary.items() if k not in clocks} == {
        k: v for k, v in theirs.items() if k not in clocks}


def test_config_repeats_the_run(digits):
    config = digits.config
    assert config["set"] == ["theta=0.4"] and config["epochs"] == 2 and config["model"] == "mlp:9"
    again = ecl.simulate(**config)
    assert (again.path / "metrics.csv").read_bytes() == (digits.path / "metrics.csv").read_bytes()


def test_config_reads_what_is_quoted(digits, tmp_path):
    shutil.copytree(digits.path, tmp_path / "run")
    (tmp_path / "run" / "config.ini").write_text('data = " a\\\\b \\"c\\" \\x23"\nepochs = 1e+09\noverlap = true\n')
    assert ecl.Run(tmp_path / "run").config == {"data": ' a\\b "c" #', "epochs": 1e9, "overlap": True}


def test_config_takes_for_numbers_what_the_tool_writes_as_such(digits, tmp_path):
    shutil.copytree(digits.path, tmp_path / "run")
    expected = {"data": "2024", "test": "true", "init": "1e5", "dataset": "7", "hidden": "007", "node_speed": "2024_01",
                "set": ["1.50", 0.25], "model": "nan", "settle": -3, "lr": 1.5e-7, "epochs": 1e5, "jitter": "+1",
                "drop": 0}
    written = {**expected, "set": "1.50\nset = 0.25", "lr": "1.5e-07", "epochs": "1e+05"}
    (tmp_path / "run" / "config.ini").write_text(
        "".join(f"{name.replace('_', '-')} = {value}\n" for name, value in written.items()))
    found = ecl.Run(tmp_path / "run").config
    assert found == expected and all(type(found[name]) is type(value) for name, value in expected.items())


def test_metrics_are_those_of_the_file(digits):
    rows = list(csv.DictReader((digits.path / "metrics.csv").open()))
    metrics = digits.metrics
    assert len(metrics) == len(rows) == 4 * 2 and list(metrics.dtype.names) == list(rows[0])
    for name in metrics.dtype.names:
        np.testing.assert_array_equal(metrics[name], [float(row[name] or "nan") for row in rows])
    assert metrics["step"].dtype == np.int64
    last = metrics[metrics["step"] == metrics["step"].max()]
    assert last["accuracy"].mean() == pytest.approx(digits.summary["test_accuracy_mean"])
    assert digits.sites is None and digits.verdict == digits.summary["verdict"]


def test_a_data_frame_has_the_metrics(digits):
    pytest.importorskip("pandas", reason="no pandas")
    frame = digits.frame()
    assert list(frame.columns) == list(digits.metrics.dtype.names)
    np.testing.assert_array_equal(frame["loss"].to_numpy(), digits.metrics["loss"])


def test_the_model_is_what_predicts(digits):
    """By hand: pictures are bytes, scaled as model.json says."""
    about, model = json.loads((digits.path / "model" / "model.json").read_text()), digits.model()
    pictures = np.random.default_rng(1).integers(0, 256, (20, 64))
    x = (pictures / 255 - about["pixels"][0]["mean"]) / about["pixels"][0]["deviation"]
    names = list(model)
    assert [model[name].shape for name in names] == [(9, 64), (9,), (10, 9), (10,)]
    hidden = np.maximum(0, x @ model[names[0]].T + model[names[1]])
    logits = hidden @ model[names[2]].T + model[names[3]]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(digits.predict_proba(pictures), expected, atol=1e-5)
    assert digits.predict(pictures).tolist() == [str(c) for c in expected.argmax(axis=1)]
    assert digits.classes == [str(c) for c in range(10)]
    with pytest.raises(ecl.Error, match="row 2, column 3: a pixel is a whole number from 0 to 255"):
        digits.predict(np.where(np.arange(128).reshape(2, 64) == 66, 0.5, 1))


def test_state_dict_is_pytorchs(tmp_path):
    torch = pytest.importorskip("torch", reason="no PyTorch")
    run = ecl.simulate(dataset="synthetic", epochs=1)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(20, 10)

    net = Net()
    net.load_state_dict(run.state_dict())
    x = np.random.default_rng(1).normal(size=(5, 20)).astype(np.float32)
    ours = torch.softmax(net.linear(torch.from_numpy(x)), 1).detach().numpy()
    np.testing.assert_allclose(run.predict_proba(x), ours, atol=1e-6)


def expect_the_tools(run, rows, expected):
    np.testing.assert_array_equal(run.predict(rows), [line["prediction"] for line in expected])
    probabilities = [[line["probability of ill"], line["probability of well"]] for line in expected]
    np.testing.assert_array_equal(run.predict_proba(rows), np.array(probabilities, np.float32))


def test_predictions_are_the_tools(patients):
    run, rows, expected = patients
    assert run.classes == ["ill", "well"] and len({line["prediction"] for line in expected}) == 2
    expect_the_tools(run, rows, expected)
    others = [{"name": "Doe", "dose": float(row["dose"]), "age": float(row["age"] or "nan"), "colour": row["colour"]}
              for row in rows]
    expect_the_tools(run, others, expected)
    alone = [float(expected[3][f"probability of {name}"]) for name in run.classes]  # of a matrix of one row
    np.testing.assert_allclose(run.predict_proba(rows[3]), [alone], rtol=1e-6)
    expect_the_tools(run, np.array([[row["age"], row["colour"], row["dose"]] for row in rows], object), expected)
    assert run.predict(np.empty((0, 3))).shape == (0,)


def test_predictions_of_a_data_frame(patients):
    pandas = pytest.importorskip("pandas", reason="no pandas")
    run, rows, expected = patients
    frame = pandas.DataFrame([{**row, "age": float(row["age"] or "nan"), "dose": float(row["dose"])} for row in rows])
    expect_the_tools(run, frame[["label", "dose", "colour", "age"]], expected)
    frame["colour"] = frame["colour"].astype("category")
    frame["age"] = frame["age"].astype("Float64")
    expect_the_tools(run, frame, expected)
    with pytest.raises(ecl.Error, match="the rows have two columns 'age'; rename one"):
        run.predict(pandas.concat([frame, frame[["age"]]], axis=1))


def test_predictions_of_many_rows(patients):
    """More than a block, with rows that are left out in between."""
    run, rows, _ = patients
    many = [rows[i % 50] for i in range(10_000)]
    np.testing.assert_array_equal(run.predict_proba(many), np.tile(run.predict_proba(rows), (200, 1)))


def test_a_number_is_predicted_as_by_the_tool(tmp_path):
    random = np.random.default_rng(3)
    x = random.normal(5, 3, (200, 3))
    np.savetxt(tmp_path / "t.csv", np.c_[x, 100 + x @ [10, 20, -30]], "%.6g", ",", header="a,b,c,y", comments="")
    run = ecl.simulate(nodes=2, dataset="csv", data=tmp_path / "t.csv", loss="mse", model="linear", epochs=20,
                       out=tmp_path / "run")
    expected = list(csv.DictReader(tool("predict", run.path, "--data", tmp_path / "t.csv").splitlines()))
    table = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(run.predict(table[:, :3]), [np.float32(line["prediction"]) for line in expected])
    assert run.classes == []
    gap = ecl.simulate(nodes=2, dataset="csv:missing=drop", data=tmp_path / "t.csv", loss="mse", model="linear",
                       epochs=1).predict(np.array([[np.nan, 1, 1], [1, 1, 1]]))
    assert np.isnan(gap).tolist() == [True, False]
    with pytest.raises(ecl.Error, match="this model predicts a number, and no classes"):
        run.predict_proba(table[:, :3])


def test_several_labels_are_predicted_as_by_the_tool(tmp_path):
    random = np.random.default_rng(4)
    x = random.normal(size=(200, 3))
    table = np.c_[x, x[:, 0] > 0, x[:, 1] + x[:, 2] > 1]
    np.savetxt(tmp_path / "t.csv", table, "%.6g", ",", header="a,b,c,wet,cold", comments="")
    run = ecl.simulate(nodes=2, dataset="csv:label=wet|cold", data=tmp_path / "t.csv", loss="logistic", model="linear",
                       out=tmp_path / "run")
    expected = list(csv.reader(tool("predict", run.path, "--data", tmp_path / "t.csv").splitlines()))
    head, lines = expected[0], expected[1:]
    assert sorted(run.classes) == ["cold", "wet"]
    rows = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1)[:, :3]
    found = run.predict(rows)
    assert found.shape == (200, 2) and set(found.ravel()) == {0, 1}
    first = len(head) - 4  # decisions, then probabilities
    np.testing.assert_array_equal(found, [[int(cell) for cell in line[first:first + 2]] for line in lines])
    np.testing.assert_array_equal(run.predict_proba(rows),
                                  [[np.float32(cell) for cell in line[first + 2:]] for line in lines])


def test_several_labels_of_a_row_that_cannot_be_predicted_are_none(tmp_path):
    random = np.random.default_rng(4)
    x = random.normal(size=(100, 2))
    np.savetxt(tmp_path / "t.csv", np.c_[x, x > 0], "%.6g", ",", header="a,b,wet,cold", comments="")
    run = ecl.simulate(nodes=2, dataset="csv:label=wet|cold,missing=drop", data=tmp_path / "t.csv", loss="logistic",
                       model="linear", epochs=20)
    rows = [{"a": 3, "b": 3}, {"a": None, "b": 3}, {"a": -3, "b": -3}]
    assert run.predict(rows).tolist() == [[1, 1], [None, None], [0, 0]]
    assert run.predict(rows[:1]).dtype == np.int32


def test_rows_that_do_not_fit_are_named(patients, tmp_path):
    run, rows, _ = patients
    with pytest.raises(ecl.Error, match="no column 'colour', which the model needs, did you mean 'color'?"):
        run.predict([{"age": 1, "color": "red", "dose": 2}])
    with pytest.raises(ecl.Error, match="array of 2 x 2, and the model takes rows x 3: age, colour, dose"):
        run.predict(np.zeros((2, 2)))
    with pytest.raises(ecl.Error, match=r"rows are an array, .* not 'new.csv'; those of a file: ecl.tool\('predict'"):
        run.predict("new.csv")
    with pytest.raises(ecl.Error, match="a dict is one row, and 'age' holds 2 values; give a DataFrame, or a list of"):
        run.predict({"age": [1, 2], "colour": ["red", "red"], "dose": [2, 3]})
    with pytest.raises(ecl.Error, match="row 2, column 'dose': 'much' is no number"):
        run.predict([rows[0], {**rows[1], "dose": "much"}])
    with pytest.raises(ecl.Error, match="row 1, column 'dose': the value is infinite, or no float holds it"):
        run.predict([{**rows[0], "dose": 1e300}])
    with pytest.warns(UserWarning, match="2 cells of column 'colour' with a value that no training row had"):
        run.predict([{**rows[0], "colour": "green"}, {**rows[0], "colour": "blue"}])
    with pytest.warns(UserWarning, match="1 missing cell of column 'dose': taken for the training rows' mean"):
        run.predict([{**rows[1], "dose": 1}, {k: v for k, v in rows[0].items() if k != "dose"}])


def test_predictions_are_of_the_model_that_is_there_now(digits, tmp_path):
    """A run that is taken up again, and ends again, has another."""
    path, pictures = tmp_path / "run", np.random.default_rng(1).integers(0, 256, (20, 64))
    shutil.copytree(digits.path, path)
    run = ecl.Run(path)
    first = run.predict_proba(pictures)
    kept = run._predictors[None]
    assert run.predict_proba(pictures).tobytes() == first.tobytes() and run._predictors[None] is kept
    other = ecl.simulate(**{**OPTIONS, "seed": 2})
    shutil.copy(other.path / "model" / "model.safetensors", path / "new")
    os.replace(path / "new", path / "model" / "model.safetensors")
    assert run.predict_proba(pictures).tobytes() == other.predict_proba(pictures).tobytes() != first.tobytes()
    (path / "model" / "model.safetensors").unlink()
    with pytest.raises(ecl.Error, match="holds no model yet"):  # nor a checkpoint
        run.predict(pictures)


def test_two_threads_take_turns_at_a_model(digits, monkeypatch):
    """libecl predicts for one at a time."""
    import ecl._predictor

    inside, most = [], []

    class Watched:
        def __getattr__(self, name):
            return getattr(ecl._library.lib, name)

        def ecl_predict(self, *arguments):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()
            return ecl._library.lib.ecl_predict(*arguments)

    pictures = np.random.default_rng(1).integers(0, 256, (20, 64))
    expected, found = digits.predict(pictures), []
    monkeypatch.setattr(ecl._predictor, "lib", Watched())
    threads = [threading.Thread(target=lambda: found.append(digits.predict(pictures))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4
    np.testing.assert_array_equal(found, [expected] * 4)


def test_whose_scaling_is_asked_for_in_pythons_words(digits, tmp_path):
    with pytest.raises(ecl.Error, match="^node=1: the nodes of '.*' all have the same scaling; leave it out$"):
        digits.predict(np.zeros((1, 64)), node=1)
    with pytest.raises(ecl.Error, match="^node=-1 is none: nodes are numbered from 0$"):
        digits.predict(np.zeros((1, 64)), node=-1)
    from ecl._library import lib

    handle = ctypes.c_void_p()
    assert lib.ecl_predictor_open(str(digits.path).encode(), -2, ctypes.byref(handle)) == 2 and not handle
    assert lib.ecl_error() == b"node -2 is none: nodes are numbered from 0"
    for site in range(2):
        write_table(tmp_path / f"{site}.csv", 60, site)
    code, _, err = ranks(tmp_path, """
import ecl
ecl.train(data="{node}.csv", dataset="csv:standardise=own,missing=mean,ignore=colour", epochs=1, out="run", settle=0)
""")
    assert code == 0, err
    run, row = ecl.Run(tmp_path / "run"), [{"age": 40, "dose": 1}]
    with pytest.raises(ecl.Error, match="scaled the features by itself .* say whose rows these are like, as in node=0"):
        run.predict(row)
    with pytest.raises(ecl.Error, match=r"no node 2 \(0 .. 1\)"):
        run.predict(row, node=2)
    assert run.predict_proba(row, node=0).tolist() != run.predict_proba(row, node=1).tolist()


def test_gaps_are_dealt_with_as_in_training(tmp_path):
    write_table(tmp_path / "t.csv", 200, 1)
    gap = [{"age": None, "dose": 1.0}, {"age": 50.0, "dose": 1.0}]
    options = {"data": tmp_path / "t.csv", "epochs": 1, "nodes": 1}
    dropping = ecl.simulate(dataset="csv:missing=drop,ignore=colour", **options)
    assert dropping.predict(gap).tolist() == [None, "ill"]
    assert np.isnan(dropping.predict_proba(gap)).tolist() == [[True, True], [False, False]]
    refusing = ecl.simulate(dataset="csv:ignore=colour|age", **options)
    with pytest.raises(ecl.Error, match="row 2, column 'dose': a value is missing, and the model was trained without"):
        refusing.predict([{"dose": 1}, {"dose": "NA"}])


def test_quiet_prints_nothing(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ecl.simulate(nodes=8, partition="classes:2", epochs=1, settle=0)
    assert capfd.readouterr() == ("", "")
    ecl.simulate(nodes=8, partition="classes:2", epochs=1, settle=0, quiet=False)
    out, err = capfd.readouterr()
    assert out.startswith("finished: ecl on ring, 8 nodes") and "ecl: warning: the nodes do not agree" in err


def test_what_is_to_be_known_is_a_warning():
    with pytest.warns(UserWarning, match="the nodes do not agree: consensus error"):
        run = ecl.simulate(nodes=8, partition="classes:2", epochs=1, settle=0)
    assert run.verdict == "finished" and len(run.warnings) == 1
    with pytest.warns(UserWarning, match="the run diverged"):
        run = ecl.simulate(dataset="quadratic", model="quadratic", lr=1e6, epochs=50)
    assert run.verdict == "diverged"
    assert "verdict diverged" in repr(run) and "<td>diverged</td>" in run._repr_html_()


def test_numbers_have_points_in_a_program_that_writes_commas(tmp_path):
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de_DE.UTF-8"], capture_output=True)
    if not made or made.returncode != 0:
        pytest.skip("no localedef, or no sources of locales: Debian's package is locales")
    script = """
import locale, sys
import ecl
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
assert locale.str(0.5) == "0,5"
run = ecl.simulate(nodes=2, epochs=2, lr=0.05, out=sys.argv[1])
assert locale.str(0.5) == "0,5"
"""
    ours, plain = tmp_path / "ours", tmp_path / "plain"
    done = subprocess.run([sys.executable, "-B", "-c", script, ours], capture_output=True, text=True,
                          env={**os.environ, "LOCPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    ecl.simulate(nodes=2, epochs=2, lr=0.05, out=plain)
    for name in ("metrics.csv", "edges.csv", "sites.csv"):
        assert (ours / name).is_file() == (plain / name).is_file()
        if (ours / name).is_file():
            assert (ours / name).read_text() == (plain / name).read_text()


def test_a_temporary_directory_goes_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = ecl.simulate(nodes=2, epochs=1)
    assert run.path.is_dir() and list(tmp_path.iterdir()) == [run.path]
    del run
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ecl.Error):
        ecl.simulate(nodes=2, topology="rink")
    made = []

    def fails(arguments, silent):
        made.append(next(argument[6:] for argument in arguments if argument.startswith("--out=")))
        os.mkdir(made[0])
        raise ecl.Error("half way")

    monkeypatch.setattr(ecl._run, "call", fails)
    with pytest.raises(ecl.Error, match="half way"):
        ecl.simulate(nodes=2)
    assert os.path.dirname(made[0]) == str(tmp_path) and list(tmp_path.iterdir()) == []


def test_mistakes_are_the_tools_line(digits, tmp_path, capfd):
    with pytest.raises(ecl.Error, match=r"^unknown option --epoch=3, did you mean '--epochs'\?") as caught:
        ecl.simulate(epoch=3)
    assert caught.value.code == 2 and "\n" not in str(caught.value)
    with pytest.raises(ecl.Error, match="did you mean 'ring'"):
        ecl.simulate(topology="rink")
    with pytest.raises(ecl.Error, match="something is there already"):
        ecl.simulate(out=digits.path)
    with pytest.raises(ecl.Error, match=r"dry_run makes no run; use ecl.tool\('simulate', '--dry-run', ...\)"):
        ecl.simulate(dry_run=True)
    with pytest.raises(ecl.Error, match="leave out `out`"):
        ecl.simulate(resume=digits.path, out=tmp_path / "a")
    with pytest.raises(ecl.Error, match="is no directory of a run"):
        ecl.Run(tmp_path)
    with pytest.raises(ecl.Error, match="unknown command 'simulat', did you mean 'simulate'"):
        ecl.tool("simulat")
    assert capfd.readouterr() == ("", "")


def test_a_run_under_way_can_be_read(digits, tmp_path):
    shutil.copytree(digits.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    (tmp_path / "run" / "summary.json").unlink()
    metrics = (tmp_path / "run" / "metrics.csv").read_bytes()
    (tmp_path / "run" / "metrics.csv").write_bytes(metrics[:-9])
    status = {**digits.status, "state": "running", "epoch": 1.5}
    (tmp_path / "run" / "status.json").write_text(json.dumps(status))
    run = ecl.Run(tmp_path / "run")
    assert run.verdict == "running" and run.warnings == [] and "epoch 1.5" in repr(run)
    assert run.metrics.tobytes() == digits.metrics[:-1].tobytes()  # it holds NaNs
    for ask in (run.model, lambda: run.classes, lambda: run.predict(np.zeros((1, 64)))):
        with pytest.raises(ecl.Error, match="has no model yet"):
            ask()
    with pytest.raises(ecl.Error, match="has no summary.json: the run has not ended"):
        run.summary
    (tmp_path / "run" / "metrics.csv").unlink()
    assert len(run.metrics) == 0


def test_a_picture_shows_the_nodes_and_their_mean(digits, tmp_path):
    matplotlib = pytest.importorskip("matplotlib", reason="no matplotlib")
    matplotlib.use("Agg")
    axes = digits.plot()
    lines = axes.get_lines()
    assert len(lines) == 4 + 1
    assert lines[-1].get_ydata()[-1] == pytest.approx(digits.summary["test_accuracy_mean"])
    np.testing.assert_array_equal(lines[2].get_ydata(), digits.metrics["accuracy"][digits.metrics["node"] == 2])
    assert digits.plot("train_loss", ax=axes) is axes
    with pytest.raises(ecl.Error, match="there is no column 'acc'; there are time_s, node"):
        digits.plot("acc")
    axes.figure.savefig(tmp_path / "run.png")


def test_a_signal_stops_a_run_in_good_order(tmp_path):
    """Ctrl-C within simulate(): a checkpoint, an error that says how to go on; then Python has its signals again."""
    options = {"nodes": 2, "epochs": 3000, "mode": "lock-step", "eval_every": 100, "out": tmp_path / "run"}

    def interrupt():
        while not (tmp_path / "run" / "metrics.csv").is_file():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(ecl.Error, match=f"a signal stopped the run; resume='{tmp_path}/run' goes on with it") as caught:
        ecl.simulate(**options)
    waiting.join()
    assert caught.value.code == 75 and ecl.Run(tmp_path / "run").verdict == "preempted"
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(HANGS_S)
    run = ecl.simulate(resume=tmp_path / "run")
    assert run.verdict == "converged"
    whole = ecl.simulate(**{**options, "out": None})
    assert (run.path / "metrics.csv").read_bytes() == (whole.path / "metrics.csv").read_bytes()


def test_any_command_of_the_tool(capfd):
    assert ecl.tool("topology", "ring", "-n", 4) == 0
    out, _ = capfd.readouterr()
    assert out == tool("topology", "ring", "-n", 4)


def test_what_works_by_itself_does_so_after_mpi_was_started(digits):
    """Open MPI tells a process without a launcher that it is rank 0: that it is launched it is not."""
    done = subprocess.run([sys.executable, "-B", "-c", f"""
import subprocess, ecl
ecl.rank()
ecl.tool("evaluate", {str(digits.path)!r})
subprocess.run([{TOOL!r}, "evaluate", {str(digits.path)!r}], check=True)
subprocess.run([{sys.executable!r}, "-m", "ecl", "evaluate", {str(digits.path)!r}], check=True)
"""], capture_output=True, text=True, timeout=HANGS_S)
    assert (done.returncode, done.stdout) == (0, 3 * tool("evaluate", digits.path)), done.stderr


def ranks(tmp_path, script, count=2):
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([MPIEXEC, "-n", str(count), sys.executable, "-B", tmp_path / "script.py"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=HANGS_S)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("first", ["", "import mpi4py.MPI", "import ecl; ecl.rank()"])
def test_train_over_ranks_whoever_has_started_mpi(first, tmp_path):
    """Twice; then the same in the simulator, in lock step: the same bits."""
    if "mpi4py" in first:
        if not ecl.mpi().startswith("Open MPI"):
            pytest.skip("Debian's mpi4py is of Open MPI")
        pytest.importorskip("mpi4py", reason="no mpi4py")
    code, out, err = ranks(tmp_path, first + """
import sys, ecl
import numpy as np
options = {"mode": "lock-step", "epochs": 2, "partition": "classes:5"}
runs = [ecl.train(out="a", **options), ecl.train(**options)]
if ecl.rank() == 0:
    runs.append(ecl.simulate(nodes=2, **options))
values = [np.concatenate([array.ravel() for array in run.model().values()]) for run in runs]
assert all(np.array_equal(values[0], other) for other in values)
if "mpi4py" in sys.modules:
    assert sys.modules["mpi4py.MPI"].COMM_WORLD.allreduce(1) == 2
sys.stdout.write(f"{runs[0].verdict} {runs[1].path}\\n")
""")
    assert code == 0 and err == "", err
    verdict, path = out.splitlines()[0].split()
    assert verdict == "converged" and not os.path.exists(path)
    assert out.splitlines()[0] == out.splitlines()[1]


def test_hosts_that_share_no_disk_have_the_model_each(tmp_path):
    """Own data, a temporary directory on each; metrics on the first rank's host."""
    if not ecl.mpi().startswith("Open MPI"):
        pytest.skip("tests/hosts/run starts Open MPI's mpirun")
    for host in ("h0", "h1"):
        (tmp_path / "disk" / host).mkdir(parents=True)
    (tmp_path / "script.py").write_text(f"""
import os, sys, tempfile
import numpy as np
tempfile.tempdir = "{tmp_path}/disk"
import ecl
run = ecl.train(epochs=2)
metrics = "metrics"
try:
    metrics += f" {{len(run.metrics) > 0}}"
except ecl.Error as error:
    metrics += " " + str(error).split(" has ")[1]
X = np.random.default_rng(ecl.rank()).normal(size=(300, 3))
classifier = ecl.Classifier(epochs=100, mode="lock-step").fit(X, X[:, 0] > 0)
right = classifier.score(X, X[:, 0] > 0) > 0.95
sys.stdout.write(f"{{ecl.rank()}} {{run.verdict}}, {{len(run.model())}} arrays, {{right}}, {{metrics}}\\n")
""")
    hosts = os.path.join(os.path.dirname(__file__), "..", "hosts", "run")
    done = subprocess.run([hosts, "--private", tmp_path / "disk", "2", "2", sys.executable, "-B",
                           tmp_path / "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=HANGS_S)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    metrics = [" True", " True"] + 2 * [" no metrics.csv: the first rank's host keeps it"]
    assert sorted(done.stdout.splitlines()) == [
        f"{rank} converged, 2 arrays, True, metrics{metrics[rank]}" for rank in range(4)]
    assert list((tmp_path / "disk").glob("*/*")) == []


def test_a_level_that_is_none_is_refused(patients):
    """As C may say it; a number that is written where it leads to is somebody else's memory."""
    run, _, _ = patients
    from ecl._library import lib, must
    from ecl._predictor import Predictor
    predictor = Predictor(run.path)
    row = np.zeros((1, predictor.width), np.float32)
    row[0, predictor.inputs.index("colour")] = 3e7
    outputs = np.empty((1, 2), np.float32)
    with pytest.raises(ecl.Error, match="row 1, column 'colour': no level has this number"):
        must(lib.ecl_predict(predictor._handle, row.ctypes.data, 1, outputs.ctypes.data, None))


def test_null_pointers_are_refused():
    from ecl._library import lib

    assert lib.ecl_predictor_inputs(None) == lib.ecl_predictor_classes(None) == 0
    assert lib.ecl_predictor_class(None, 0) is None
    assert lib.ecl_predict(None, None, 1, None, None) == 2 and lib.ecl_error() == b"predictor is a null pointer"
    assert lib.ecl_tool(1, None, 0) == 2 and lib.ecl_error() == b"argv is a null pointer"
    lib.ecl_predictor_close(None)


def test_each_rank_may_simulate(tmp_path):
    code, out, err = ranks(tmp_path, """
import ecl, sys
sys.stdout.write(f"{ecl.simulate(nodes=2, epochs=1).metrics['loss'].sum()}\\n")
""")
    assert code == 0 and err == "", err
    assert len(out.splitlines()) == 2 and len(set(out.splitlines())) == 1


def test_a_mistake_over_ranks_is_one_line(tmp_path):
    code, out, err = ranks(tmp_path, """
import sys, ecl
try:
    ecl.train(lr=0.1 * (1 + ecl.rank()))
except ecl.Error as error:
    sys.stdout.write(f"{error.code} {error}\\n")
""")
    assert code == 0 and err == "", err
    assert len(out.splitlines()) == 2 and len(set(out.splitlines())) == 1
    assert "rank 1 on " in out and "lr = 0.2" in out
