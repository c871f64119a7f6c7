"""The examples, each as its first lines say, in short. This starts mpirun itself; the time limit fails a test, nothing
depends on it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ecl

MPIEXEC = os.environ.get("ECL_MPIEXEC", "mpirun")
EXAMPLES = Path(ecl.__file__).resolve().parents[1] / "examples"
HANGS_S = 300

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no PyTorch")


def command(example, *arguments, ranks=0):
    launch = [MPIEXEC, "-n", str(ranks)] if ranks else []
    return [*launch, sys.executable, "-B", EXAMPLES / example, *map(str, arguments)]


def output(tmp_path, example, *arguments, ranks=0):
    done = subprocess.run(command(example, *arguments, ranks=ranks), capture_output=True, text=True, timeout=HANGS_S,
                          cwd=tmp_path, env={**os.environ, "MPLBACKEND": "Agg"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(pattern, text):
    return [float(number) for number in re.findall(pattern, text)]


def test_there_is_a_test_of_each():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"cnn.py", "report.py", "resume.py", "table.py",
                                                             "transformer.py"}


def test_report(tmp_path):
    pytest.importorskip("matplotlib", reason="no matplotlib")
    printed = output(tmp_path, "report.py")
    assert (tmp_path / "report.png").stat().st_size > 10_000
    assert "converged" in printed and printed.count("\n") < 20


@pytest.mark.parametrize("ranks", [0, 4])
def test_table(ranks, tmp_path):
    scores = numbers(r"of all sites' rows on ([\d.]+) %", output(tmp_path, "table.py", ranks=ranks))
    assert len(scores) == max(1, ranks) and min(scores) > 90


def write_pictures(directory, part, count):
    """In the format of MNIST: noise with a bright square, whose place is the class."""
    import numpy as np

    random = np.random.default_rng(count)
    labels = np.arange(count, dtype=np.uint8) % 10
    pixels = random.integers(0, 120, (count, 28, 28), dtype=np.uint8)
    for picture, label in zip(pixels, labels):
        picture[7 * (label // 3) : 7 * (label // 3) + 7, 9 * (label % 3) : 9 * (label % 3) + 9] += 100
    for name, magic, values in (("images-idx3", 0x803, pixels), ("labels-idx1", 0x801, labels)):
        header = np.array([magic, *values.shape], ">i4").tobytes()
        (directory / f"{part}-{name}-ubyte").write_bytes(header + values.tobytes())


@needs_torch
def test_cnn(tmp_path):
    """Who has seen three of ten classes knows all."""
    write_pictures(tmp_path, "train", 400)
    write_pictures(tmp_path, "t10k", 200)
    printed = output(tmp_path, "cnn.py", "--data", tmp_path, "--epochs", 20, "--mode", "lock-step", ranks=4)
    scores = numbers(r"right on ([\d.]+) %", printed)
    assert len(scores) == 4 and min(scores) > 90, printed
    assert re.findall(r"site (\d) has seen classes ([\d, ]+):", printed).count(("1", "2, 3, 4")) == 1


def write_languages(root):
    """Texts in the places that the example reads, always the same: each of words of its own."""
    random = np.random.default_rng(1)
    for place in ("solvers/a.cpp", "ecl/python/ecl/a.py", "README.md", "CMakeLists.txt"):
        words = ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), random.integers(2, 6))) for _ in range(20)]
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(" ".join(random.choice(words, 4000)))


@needs_torch
def test_transformer(tmp_path):
    """Together the sites foretell all texts better than each alone does on average, and nearly alike."""
    write_languages(tmp_path)
    example = tmp_path / "ecl/python/examples/transformer.py"  # which looks for texts from there
    example.parent.mkdir(parents=True)
    shutil.copy(EXAMPLES / example.name, example)
    together, alone = (numbers(r"mean ([\d.]+)", output(tmp_path, example, "--steps", 60, *how, ranks=4))
                       for how in (["--mode", "lock-step"], ["--alone"]))
    assert len(together) == len(alone) == 4
    assert max(together) < min(alone) - 0.1 and max(together) - min(together) < 0.02, (together, alone)


@needs_torch
@pytest.mark.parametrize("length", [65, 127, 128, 129])
def test_the_transformer_is_tested_on_texts_of_any_length(length):
    import torch

    spec = importlib.util.spec_from_file_location("transformer", EXAMPLES / "transformer.py")
    transformer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(transformer)
    model = lambda x: torch.zeros(*x.shape, transformer.CHARACTERS)  # noqa: E731
    assert transformer.held_out_loss(model, torch.arange(length) % 128) == pytest.approx(4.852, abs=1e-3)  # log 128


@needs_torch
def test_a_job_that_is_killed_ends_in_the_bits_of_one_that_is_not(tmp_path):
    import torch

    (tmp_path / "pids").mkdir()
    forever = command("resume.py", "--steps", 10**6, "--out", tmp_path / "killed")
    job = subprocess.Popen([MPIEXEC, "-n", "4", "sh", "-c", 'touch "pids/$$"; exec "$@"', "sh", *forever], cwd=tmp_path,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def saved(rank):
        return {int(path.stem.split("step")[1]) for path in tmp_path.glob(f"killed/rank{rank}-step*.pt")}

    end = time.monotonic() + HANGS_S
    while not all(max(saved(rank), default=0) >= 100 for rank in range(4)) and time.monotonic() < end:
        assert job.poll() is None, job.communicate()
        time.sleep(0.01)
    os.kill(int(min((tmp_path / "pids").iterdir()).name), 9)
    job.communicate(timeout=HANGS_S)
    assert job.returncode != 0

    newest, last = max((max(saved(rank)), rank) for rank in range(4))
    (tmp_path / f"killed/rank{last}-step{newest}.pt").unlink()  # as if it had been killed before it wrote that
    begin = max(set.intersection(*map(saved, range(4))))
    steps = newest + 70
    printed = output(tmp_path, "resume.py", "--steps", steps, "--out", tmp_path / "killed", ranks=4)
    assert f"goes on from step {begin}\n" in printed and begin > 0
    assert "goes on" not in output(tmp_path, "resume.py", "--steps", steps, "--out", tmp_path / "whole", ranks=4)
    for rank in range(4):
        resumed, whole = (torch.load(tmp_path / kind / f"site{rank}.pt") for kind in ("killed", "whole"))
        assert all(torch.equal(resumed[name], whole[name]) for name in whole)
