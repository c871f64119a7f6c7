"""How jobs of several ranks end, whatever happens to one of them: in a named outcome, and never in a wait. This starts
mpirun itself; the time limit below fails a test, nothing depends on it."""

import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

MPIEXEC = os.environ.get("ECL_MPIEXEC", "mpirun")
ROOT = pathlib.Path(__file__).resolve().parents[2]
HANGS_S = 100

OPEN_MPI = any(name in subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout
               for name in ("Open MPI", "OpenRTE"))
needs_recovery = pytest.mark.skipif(not OPEN_MPI, reason="this mpirun has no --enable-recovery: it ends all ranks")
needs_mpi4py = pytest.mark.skipif(not OPEN_MPI or importlib.util.find_spec("mpi4py") is None,
                                  reason="no mpi4py of this MPI: Debian's is of Open MPI")

LOOP = """
import os, signal, sys, time
import numpy as np
import ecl

def consensus(**options):
    return ecl.Consensus(np.zeros(1000, np.float32), lr=0.1, **options)

def train(consensus, steps):
    for _ in range(steps):
        consensus.begin()
        consensus.step(consensus.x - ecl.rank())
"""


def start(tmp_path, script, ranks=4, launcher=()):
    """Whatever the script says after the loop above."""
    path = tmp_path / "train.py"
    path.write_text(LOOP + script)
    job = [MPIEXEC, *launcher, "-n", str(ranks)] if ranks else []
    return subprocess.Popen([*job, sys.executable, "-B", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, cwd=tmp_path)


def run(tmp_path, script, **kind):
    process = start(tmp_path, script, **kind)
    try:
        out, err = process.communicate(timeout=HANGS_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, err = process.communicate()
        pytest.fail(f"this hangs; {out} {err}")
    return process.returncode, out, err


def lines_of_ecl(err):
    return [line for line in err.splitlines() if line.startswith("ecl: ")]


@pytest.mark.parametrize("options", ["mode='async'", "mode='lock-step'", "progress='thread'"])
def test_an_exception_on_one_rank_ends_the_job(options, tmp_path):
    code, _, err = run(tmp_path, f"""
c = consensus({options})
train(c, 20)
if ecl.rank() == 1:
    raise ValueError("no such label")
train(c, 10**9)
""")
    assert code == 1
    assert "ecl: rank 1 ended by ValueError: no such label; the job ends with it" in lines_of_ecl(err)
    assert err.count("Traceback") == 1


@pytest.mark.parametrize("how, line", [
    ("error = ValueError('no such\\nlabel'); hasattr(error, 'add_note') and error.add_note('on Monday')",
     "ValueError: no such"),
    ("error = SyntaxError('odd', ('a.py', 1, 1, 'x x'))", "SyntaxError: odd"),
    ("error = ValueError('full'); sys.stdout = open('/dev/full', 'w'); print('something')", "ValueError: full"),
    ("error = ValueError('closed'); sys.stdout.close()", "ValueError: closed"),
    ("error = type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()", "Odd: <exception str() failed>")],
    ids=["note", "syntax", "full", "closed", "no text"])
def test_an_exception_ends_the_job_whatever_can_be_said_of_it(how, line, tmp_path):
    code, _, err = run(tmp_path, f"""
c = consensus()
if ecl.rank() == 1:
    {how}
    raise error
train(c, 10**9)
""", ranks=2)
    assert code == 1
    assert f"ecl: rank 1 ended by {line}; the job ends with it" in lines_of_ecl(err), err


def test_an_exception_ends_the_job_where_the_programs_own_hook_fails(tmp_path):
    code, _, err = run(tmp_path, """
sys.excepthook = lambda *_: 1 / 0
c = consensus()
if ecl.rank() == 1:
    sys.stderr = None
    raise ValueError("lost")
train(c, 10**9)
""", ranks=2)
    assert code == 1


def test_a_program_that_ends_before_it_settles_is_warned_of(tmp_path):
    code, _, err = run(tmp_path, """
train(consensus(), 20)
done = consensus()
train(done, 20)
done.settle()
""")
    assert code == 0
    assert err.count("UserWarning: this Consensus ends without settle() after its last step") == 4, err


def test_a_gradient_that_is_no_number_ends_the_job(tmp_path):
    code, _, err = run(tmp_path, """
c = consensus()
train(c, 20)
c.step(np.full(1000, np.nan) if ecl.rank() == 2 else np.zeros(1000))
train(c, 10**9)
""")
    assert code == 4
    assert any(re.match(r"ecl: rank 2 ended by ecl.*Diverged: the gradient of step 21 holds an infinity or a NaN", line)
               for line in lines_of_ecl(err)), err


def test_in_lock_step_a_rank_that_ends_early_is_named(tmp_path):
    code, _, err = run(tmp_path, """
c = consensus(mode="lock-step")
train(c, 12 if ecl.rank() == 3 else 15)
c.settle()
""")
    assert code == 3
    assert re.search(r"rank 3 on \S+ has ended after step 12, and rank \d is at step 13; in lock step all ranks take "
                     "the same number: leave out what some have too much, or use mode=async", err), err


def test_a_rank_that_only_measured_for_adam_is_named(tmp_path):
    for steps in (11, 16):
        code, _, err = run(tmp_path, f"""
c = consensus(optimizer="adam")
train(c, {steps} if ecl.rank() == 1 else 40)
c.settle()
""")
        assert code == 3
        assert re.search(rf"rank 1 on \S+ has ended after step {steps}, and the first measure_steps=16 only measure "
                         "gradients, for adam: its data would count for nothing; make more steps, or set a smaller "
                         "measure_steps", err), err


@pytest.mark.parametrize("about, apart, waits", [
    ("optimizer='adam', measure_steps=8", "train(c, 8)", "train, after its first measure_steps"),
    ("", "c.settle()", "settle or close"), ("progress='thread'", "c.settle()", "settle or close"),
    ("mode='lock-step'", "c.close()", "settle or close")])
@pytest.mark.parametrize("averages", [1, 3])
def test_an_average_that_not_all_ask_for_is_named(about, apart, waits, averages, tmp_path):
    code, _, err = run(tmp_path, f"""
c = consensus({about})
train(c, 4)
if {averages} == ecl.rank() or {averages} == 3 and ecl.rank() != 1:
    c.average(np.zeros(10, np.float32))
{apart}
""")
    assert code == 3
    assert re.search(rf"rank \d on \S+ waits for all ranks to {waits}, and rank \d asks for an average first, after "
                     r"step 4: call average\(\) as often on all ranks before that", err), err


def test_in_lock_step_an_average_after_other_steps_is_named(tmp_path):
    for steps_of_a_round in (1, 2):
        code, _, err = run(tmp_path, f"""
c = consensus(mode="lock-step", local_steps={steps_of_a_round})
for epoch in range(2):
    train(c, 7 if ecl.rank() == 1 else 4)
    c.average(np.zeros(10, np.float32))
""")
        assert code == 3
        assert re.search(r"rank \d on \S+ asks for an average after step [4-7], and rank \d is at step \d; in lock "
                         r"step all call average\(\) after the same step", err), err


def test_after_an_error_of_all_ranks_every_call_says_it_again(tmp_path):
    _, out, err = run(tmp_path, """
c = consensus(mode="lock-step")
said = []
try:
    train(c, 4 if ecl.rank() == 1 else 10**9)
    c.settle()
except ecl.RankLost as error:
    said.append(str(error))
for call in (c.begin, c.settle, c.average, lambda: c.step(c.x), lambda: ecl.tool("doctor")):
    try:
        call()
    except ecl.RankLost as error:
        said.append(str(error))
if len(said) == 6 and len(set(said)) == 1 and np.isfinite(c.x).all():
    print("<alike>", flush=True)
time.sleep(4)  # who hears of another's failure gives it two seconds to say why
""")
    assert out.count("<alike>") == 4, out + err


def test_ranks_that_are_each_alone_do_not_train(tmp_path):
    script = LOOP + "consensus()"
    code, _, err = python(script, SLURM_STEP_NUM_TASKS="4", SLURM_JOB_ID="1")
    assert code == 1
    assert "srun started 4 ranks, but each is alone: ecl was built with " in err, err


@needs_recovery
def test_a_rank_that_dies_while_others_measure_is_named(tmp_path):
    _, _, err = run(tmp_path, """
c = consensus(optimizer="adam")
train(c, 8)
if ecl.rank() == 2:
    os.kill(os.getpid(), signal.SIGKILL)
train(c, 40)
""", launcher=["--enable-recovery"])
    assert re.search(r"rank 2 on \S+ has died, and the run ends with it", err), err


def test_a_rank_that_leaves_without_settling_is_named(tmp_path):
    code, _, err = run(tmp_path, """
c = consensus()
train(c, 10)
if ecl.rank() == 1:
    sys.exit()
c.settle()
""")
    assert code == 3
    assert re.search(r"rank 1 on \S+ has closed its node after step 10 and does not settle; all ranks settle, or none",
                     err), err


def test_ranks_may_all_leave_without_settling(tmp_path):
    code, out, err = run(tmp_path, """
c = consensus()
train(c, 10 * ecl.rank())
print(f"rank {ecl.rank()} ends")
""")
    assert (code, lines_of_ecl(err)) == (0, [])
    # Python may write a line and its end one after the other, and mpirun another rank's line between them.
    assert sorted(re.findall(r"rank \d ends", out)) == [f"rank {rank} ends" for rank in range(4)]


def test_sigterm_to_one_rank_ends_the_job(tmp_path):
    code, out, err = run(tmp_path, """
c = consensus()
train(c, 10)
if ecl.rank() == 1:
    os.kill(os.getpid(), signal.SIGTERM)
train(c, 10**9)
""")
    assert code != 0
    assert "signal 15" in out + err or "Terminated" in out + err  # MPICH's mpirun says it on standard output


def test_sigterm_to_mpirun_ends_the_job(tmp_path):
    process = start(tmp_path, """
c = consensus()
train(c, 10)
open(f"training-{ecl.rank()}-{os.getpid()}", "w").close()
train(c, 10**9)
""")
    end = time.monotonic() + HANGS_S
    while len(ranks := list(tmp_path.glob("training-*"))) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANGS_S)
    assert process.returncode != 0
    pids = [int(path.name.split("-")[2]) for path in ranks]
    while any(map(lives, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(pids) == 4 and not any(map(lives, pids))


def lives(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


@needs_recovery
def test_a_killed_rank_is_named_by_those_that_outlive_it(tmp_path):
    _, _, err = run(tmp_path, """
c = consensus(mode="lock-step")
train(c, 10)
if ecl.rank() == 2:
    os.kill(os.getpid(), signal.SIGKILL)
train(c, 10**9)
""", launcher=["--enable-recovery"])
    assert re.search(r"rank 2 on \S+ has died, and the run ends with it", err), err


def test_a_helper_thread_ends_with_its_process_and_stays_out_of_those_forked_off(tmp_path):
    code, out, err = run(tmp_path, """
c = consensus(mode="lock-step", progress="thread")
train(c, 20)
child = os.fork()
if child == 0:
    try:
        c.begin()
    except ecl.Error as error:
        sys.exit(7 if "this process was forked off one that uses MPI, and is no rank" in str(error) else 1)
status = os.waitpid(child, 0)[1]
train(c, 20)
time.sleep(0.01)
print(f"<{os.WEXITSTATUS(status)}>")
""")
    assert (code, lines_of_ecl(err)) == (0, [])
    assert out.count("<7>") == 4


@needs_mpi4py
def test_a_helper_thread_gets_on_with_who_started_mpi_and_uses_it_too(tmp_path):
    code, out, err = run(tmp_path, """
from mpi4py import MPI
c = consensus(mode="lock-step", progress="thread", comm=MPI.COMM_WORLD)
for _ in range(100):
    train(c, 4)
    time.sleep(0.002)
    MPI.COMM_WORLD.allreduce(1)
c.settle()
c.close()
MPI.Finalize()
print(f"<{abs(c.x[0] - 1.5) < 0.05}>")
""")
    assert (code, lines_of_ecl(err)) == (0, [])
    assert out.count("<True>") == 4


@needs_mpi4py
def test_a_helper_thread_where_mpi_does_not_let_it_is_refused(tmp_path):
    code, _, err = run(tmp_path, """
import mpi4py
mpi4py.rc.thread_level = "funneled"
from mpi4py import MPI
consensus(progress="thread")
""", ranks=2)
    assert code == 2
    assert ("progress=thread needs an MPI that two threads may use in turn, and this one was started with "
            "MPI_THREAD_FUNNELED; let ecl start it, or start it with MPI_THREAD_MULTIPLE (mpi4py does, unless "
            "mpi4py.rc.thread_level says otherwise)") in err


def test_without_mpirun_it_is_one_rank(tmp_path):
    code, out, err = run(tmp_path, """
c = consensus()
train(c, 400)
print(ecl.rank(), ecl.size(), c.settle(), abs(c.x).max() < 1e-3, ecl.topology())
""", ranks=0)
    assert (code, out, err) == (0, "0 1 0.0 True [[]]\n", "")


def test_c_and_python_give_the_same_bits(tmp_path):
    """The example of the C interface, step by step."""
    in_c = subprocess.run([MPIEXEC, "-n", "4", os.environ["ECL_EXAMPLE"], "mode=lock-step"], capture_output=True,
                          text=True, timeout=HANGS_S)
    code, out, err = run(tmp_path, """
c = consensus(mode="lock-step", total_steps=500, schedule="linear:0.5")
d, weights = np.arange(1000) / 1000, sum(range(1, 1 + ecl.size()))
for _ in range(500):
    c.begin()
    c.step(((1 + ecl.rank()) * (c.x.astype(float) - ecl.rank() - d) / weights * ecl.size()).astype(np.float32))
error = c.settle()
print(f"rank {ecl.rank()}: x = {c.x[0]:.9g} .. {c.x[-1]:.9g}, sent {c.figures()['bytes_sent']:.0f} bytes")
""")
    assert (in_c.returncode, code) == (0, 0), in_c.stderr + err
    lines = re.compile(r"rank \d: .*? bytes")  # mpirun may put two ranks' into one, and their ends after them
    ours = sorted(lines.findall(out))
    theirs = sorted(re.sub(r"off by .* sent", "sent", line) for line in lines.findall(in_c.stdout))
    assert ours == theirs and len(ours) == 4


@pytest.mark.parametrize("readme", ["README.md", "ecl/python/README.md"])
def test_the_readmes_example_runs_from_an_empty_folder(readme, tmp_path):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("no PyTorch")
    text = (ROOT / readme).read_text()
    example = re.search(r"^ *import ecl, torch.*?^ *torch.save.*?$", text, re.DOTALL | re.MULTILINE).group()
    code, out, err = run(tmp_path, f"""
import torch
Net = lambda: torch.nn.Linear(3, 2)
criterion = torch.nn.CrossEntropyLoss()
loader = [(torch.randn(8, 3), torch.randint(0, 2, (8,))) for _ in range(20)]
{textwrap.dedent(example)}
""", ranks=2)
    assert (code, out, lines_of_ecl(err)) == (0, "", []), err
    assert {path.name for path in tmp_path.iterdir()} == {"train.py", "site0.pt", "site1.pt"}


def python(code, **environment):
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, timeout=HANGS_S,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def test_another_mpirun_is_refused():
    code, _, err = python("""
from ecl._library import check_launcher
check_launcher("Open MPI v4.1.4", {"OMPI_COMM_WORLD_SIZE": "4"})
check_launcher("Open MPI v4.1.4", {"PMI_SIZE": "4", "SLURM_JOB_ID": "1"})
check_launcher("MPICH Version: 4.0.2", {"PMI_SIZE": "4"})
check_launcher("Open MPI v4.1.4", {})
for library, variable in (("Open MPI v4.1.4", "PMI_SIZE"), ("MPICH Version: 4.0.2", "OMPI_COMM_WORLD_SIZE")):
    try:
        check_launcher(library, {variable: "4"})
    except ImportError as error:
        print(error)
    else:
        raise SystemExit(f"{library} under {variable} is taken")
""")
    assert code == 0, err


def test_a_library_that_is_not_there_is_named():
    code, _, err = python("import ecl", ECL_LIBRARY="/nowhere/libecl.so")
    assert code == 1
    assert err.splitlines()[-1] == "ImportError: ECL_LIBRARY=/nowhere/libecl.so: there is no such file"


def test_the_examples_options_may_be_others():
    def example(*options):
        return subprocess.run([MPIEXEC, "-n", "4", os.environ["ECL_EXAMPLE"], *options], capture_output=True, text=True,
                              timeout=HANGS_S)

    done = example("mode=lock-step", "lr=0.05", "schedule=constant")
    assert (done.returncode, done.stderr) == (0, "")
    many = ["settle=1000", "settle_s=60", "consensus_error=0.01", "exchange=auto", "seed=1", "patience=1", "overlap=0",
            "progress=calls", "momentum=0", "weight_decay=0", "clip_norm=0", "local_steps=1", "exchanges=usual",
            "optimizer=sgd", "solver=ecl", "mode=lock-step", "measure_steps=16", "nonsense=1"]
    done = example(*many)
    assert done.returncode == 2 and "unknown parameter 'nonsense'" in done.stderr


def test_the_package_starts_the_tool():
    done = subprocess.run([sys.executable, "-B", "-m", "ecl", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("ecl ") and done.returncode == 0
    done = subprocess.run([MPIEXEC, "-n", "2", sys.executable, "-B", "-m", "ecl", "doctor"], capture_output=True,
                          text=True, timeout=HANGS_S)
    assert "ok " in done.stdout, done.stderr


def test_help_speaks_of_what_there_is():
    code, out, err = python("import ecl; help(ecl)")
    assert code == 0, err
    for name in ("ecl.torch.Consensus", "class Consensus", "topology(", "class RankLost"):
        assert name in out, name
