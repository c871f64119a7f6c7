"""ecl.Consensus over numpy arrays, on all ranks of an mpirun."""

import time
import warnings

import numpy as np
import pytest

import ecl


def quadratic(rank, d=100):
    """Hessian (diagonal) and optimum of this rank's part: f(x) = h (x - b)^2 / 2."""
    draw = np.random.default_rng(rank)
    return draw.uniform(0.5, 1.5, d).astype(np.float32), draw.normal(size=d).astype(np.float32)


def optimum(size):
    parts = [quadratic(rank) for rank in range(size)]
    return sum(h.astype(float) * b for h, b in parts) / sum(h.astype(float) for h, _ in parts)


def train(consensus, steps, rank, together=False):
    h, b = quadratic(rank)
    for step in range(steps):
        if together and step % 20 == 0:  # so near that none trains alone for long, however the machine shares its time
            consensus.average(np.zeros(1, np.float32))
        consensus.begin()
        consensus.step(h * (consensus.x - b))


@pytest.mark.parametrize("mode, off", [("async", 0.01), ("lock-step", 2e-5)])  # async: who is last trains alone
@pytest.mark.parametrize("options", [
    {"lr": 0.1}, {"lr": 0.1, "clip_norm": 1}, {"lr": 0.05, "optimizer": "adam"},
    {"lr": 0.05, "optimizer": "adam:beta2=0.99", "clip_norm": 1, "local_steps": 2}, {"lr": 0.1, "exchanges": "auto"}])
def test_all_ranks_reach_the_optimum_over_all_data(options, mode, off, rank, size):
    if mode == "lock-step" and "exchanges" in options:
        pytest.skip("goes by clocks")
    x = np.zeros(100, np.float32)
    consensus = ecl.Consensus(x, topology="ring", mode=mode, total_steps=1500, schedule="linear:0.5", **options)
    train(consensus, 1500, rank, together=True)
    assert consensus.settle() <= 0.01
    assert np.linalg.norm(x - optimum(size)) < off * np.linalg.norm(optimum(size))
    mine = x.copy()
    consensus.average()
    assert np.linalg.norm(x - mine) <= 0.05 * np.linalg.norm(x)
    consensus.close()


def test_gossip_is_this_recursion_in_lock_step(rank, size):
    """dpsgd: x <- sum_j W_ij x_j at each begin, then a step; W of Metropolis weights, 1/3 each on a ring. In floats the
    sum may round otherwise, so to a few units in the last place."""
    parts = [quadratic(node) for node in range(size)]
    w = np.zeros((size, size))
    for node, heard in enumerate(ecl.topology("ring", size)):
        w[node, heard] = w[node, node] = 1 / 3
    models = np.zeros((size, 100))
    x = np.zeros(100, np.float32)
    consensus = ecl.Consensus(x, solver="dpsgd", mode="lock-step", lr=0.1)
    for step in range(20):
        models = w @ models if step > 0 else models
        consensus.begin()
        np.testing.assert_allclose(x, models[rank], rtol=1e-5, atol=1e-6)
        models -= 0.1 * np.array([h * (m - b) for (h, b), m in zip(parts, models)])
        consensus.step(parts[rank][0] * (x - parts[rank][1]))
    consensus.close()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_helper_thread_makes_no_difference_in_lock_step(optimizer, rank):
    found = []
    for progress in ("calls", "thread"):
        x = np.zeros(100, np.float32)
        consensus = ecl.Consensus(x, mode="lock-step", lr=0.1, local_steps=2, optimizer=optimizer,
                                  progress=progress)
        for step in range(40):
            time.sleep(0.004 * (step % 10 == rank))
            train(consensus, 1, rank)
        found.append(x)
        consensus.close()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("saved_at", [7, 15, 16, 17, 18])
def test_saved_and_loaded_goes_on_bit_for_bit(optimizer, saved_at, rank):
    def fresh():
        x = np.zeros(100, np.float32)
        return ecl.Consensus(x, mode="lock-step", lr=0.1, local_steps=3, optimizer=optimizer)

    whole, first, second = fresh(), fresh(), fresh()
    train(whole, 30, rank)
    train(first, saved_at, rank)
    second.load(first.save())
    train(second, 30 - saved_at, rank)
    np.testing.assert_array_equal(second.x, whole.x)
    for consensus in (whole, first, second):
        consensus.close()


def test_a_state_that_one_rank_cannot_load_leaves_all_as_they_were(rank):
    whole, saved, other = (ecl.Consensus(np.zeros(100, np.float32), mode="lock-step", lr=0.1) for _ in range(3))
    train(whole, 12, rank)
    train(saved, 3, rank)
    early = saved.save()
    train(saved, 3, rank)
    state = saved.save()
    with pytest.raises(ecl.Error, match="the state is damaged"):
        other.load(state[:-1] + bytes([state[-1] ^ 1]) if rank == 2 else state)
    with pytest.raises(ecl.Error, match="rank 1 on .* loads a state of step 3, rank 0 one of step 6"):
        other.load(early if rank == 1 else state)
    train(other, 12, rank)
    np.testing.assert_array_equal(other.x, whole.x)
    for consensus in (whole, saved, other):
        consensus.close()


def test_ranks_may_take_unlike_numbers_of_steps(rank):
    x = np.zeros(100, np.float32)
    consensus = ecl.Consensus(x, lr=0.1)
    train(consensus, 11 if rank == 1 else 200, rank)
    assert consensus.settle() <= 0.01
    figures = consensus.figures()
    assert figures["steps"] == (11 if rank == 1 else 200)
    assert figures["bytes_sent"] == 400 * figures["messages_sent"] > 0
    with pytest.raises(ecl.Error, match="this run has settled, and takes no further steps"):
        consensus.step(x)
    consensus.close()
    with pytest.raises(ecl.Error, match="this Consensus is closed"):
        consensus.begin()


@pytest.mark.parametrize("options", [{}, {"solver": "local"}, {"optimizer": "adam", "measure_steps": 3}])
def test_a_rank_without_data_settles_with_the_others(options, rank):
    x = np.zeros(100, np.float32)
    consensus = ecl.Consensus(x, lr=0.1, settle=5, **options)
    train(consensus, 0 if rank == 0 else 10, rank)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after so few exchanges they do not agree
        assert np.isfinite(consensus.settle())
    consensus.close()


def test_saved_after_the_last_step(rank):
    """The state at the end of training, in lock step; and a rate that has come back to the first one."""
    def made():
        x = np.zeros(100, np.float32)
        return x, ecl.Consensus(x, mode="lock-step", lr=0.1, total_steps=4)

    x, whole = made()
    train(whole, 2, rank)
    whole.lr = 0.05
    train(whole, 2, rank)
    state = whole.save()
    y, again = made()
    again.load(state)
    assert again.lr == 0.05 and again.figures()["steps"] == 4
    np.testing.assert_array_equal(y, x)
    whole.settle(), again.settle()
    np.testing.assert_array_equal(y, x)
    whole.close(), again.close()


def test_adam_moves_x_after_the_steps_that_measure(rank, size):
    """Its first step is lr in every coordinate, whatever the gradients' sizes; and the rate is that of the moment."""
    x = np.zeros(3, np.float32)
    consensus = ecl.Consensus(x, solver="led", mode="lock-step", optimizer="adam", measure_steps=4, lr=0.25)
    for _ in range(4):
        consensus.begin()
        consensus.step(np.array([1, -4, 16]))
        assert not x.any() and consensus.lr == 0.25
        consensus.lr = 0.25
    consensus.lr = 0.5
    consensus.step(np.array([1, -4, 16]))
    np.testing.assert_allclose(x, [-0.5, 0.5, -0.5], atol=1e-6)
    assert consensus.figures()["steps"] == 5
    consensus.close()


def test_the_rate_is_adams_where_none_is_given():
    for options, rate in (({}, 0.05), ({"optimizer": "adam"}, 0.001), ({"optimizer": "adam", "lr": 0.5}, 0.5)):
        consensus = ecl.Consensus(np.zeros(3, np.float32), **options)
        assert consensus.lr == rate
        consensus.close()


def test_exchanges_are_as_many_as_the_links_carry(rank):
    """Where gradients take long, which is more than the solver's four a round."""
    x = np.zeros(100, np.float32)
    consensus = ecl.Consensus(x, exchanges="auto:1000", lr=0.1)
    for step in range(60):
        if step % 10 == 0:
            consensus.average(np.zeros(1, np.float32))
        consensus.begin()
        time.sleep(0.002)
        consensus.step(x - rank)
    assert 60 * 6 < consensus.figures()["rounds"]
    consensus.close()


def test_models_that_do_not_agree_are_warned_of(rank):
    consensus = ecl.Consensus(np.zeros(100, np.float32), solver="local", lr=0.1)
    train(consensus, 10, rank)
    with pytest.warns(UserWarning, match=r"the ranks' models differ by \d.*consensus_error=0.01"):
        assert consensus.settle() > 0.01
    consensus.close()


def test_a_consensus_that_ends_before_it_settles_is_warned_of(rank, recwarn):
    def made(*last):
        consensus = ecl.Consensus(np.zeros(100, np.float32), lr=0.1)
        train(consensus, 5, rank)
        for call in last:
            getattr(consensus, call)()
        return consensus

    for last in [("settle",), ("average",), ("save",), ("average", "settle")]:
        made(*last).close()
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"this Consensus ends without settle\(\) after its last step: each rank's"):
        made().close()
    alone = ecl.Consensus(np.zeros(100, np.float32), solver="local")
    train(alone, 5, rank)
    alone.close()
    assert not recwarn.list
    other = made("average")
    train(other, 1, rank)
    with pytest.warns(UserWarning, match="ends without settle"):
        other.close()


def test_a_gradient_that_is_no_number_makes_no_step():
    x = np.zeros(3, np.float32)
    consensus = ecl.Consensus(x, solver="local", lr=0.5)
    with pytest.raises(ecl.Diverged, match="gradient of step 1 holds an infinity or a NaN; no step was made") as caught:
        consensus.step(np.array([1, np.inf, 1]))
    assert caught.value.code == 4
    assert not x.any()
    consensus.step(np.ones(3))
    consensus.lr = 0.25
    consensus.step(np.ones(3))
    np.testing.assert_array_equal(x, np.full(3, -0.75, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        consensus.settle()
    consensus.close()


def test_mistakes_are_named(rank):
    with pytest.raises(TypeError, match="x: a writable C-contiguous numpy array of float32 .* this is float64"):
        ecl.Consensus(np.zeros(3))
    with pytest.raises(TypeError, match="this is a list"):
        ecl.Consensus([0.0])
    with pytest.raises(ecl.Error, match="unknown parameter 'toplogy', did you mean 'topology'?"):
        ecl.Consensus(np.zeros(3, np.float32), toplogy="ring")
    with pytest.raises(ecl.Error, match="a learning rate is above 0, not 0; start with the largest"):
        ecl.Consensus(np.zeros(3, np.float32), lr=0)
    with pytest.raises(ecl.Error, match="a learning rate is above 0, not -0.1;"):
        ecl.Consensus(np.zeros(3, np.float32), lr=-0.1)
    with pytest.raises(ecl.Error, match="solver ecl has a momentum of its own .*; leave momentum at 0"):
        ecl.Consensus(np.zeros(3, np.float32), momentum=0.9)
    with pytest.raises(ecl.Error, match="optimizer=adamw is adam but for its decay: .* weight_decay=0.01"):
        ecl.Consensus(np.zeros(3, np.float32), optimizer="adamw")
    with pytest.raises(ecl.Error, match="solver d2 takes no steps that each node shortens by itself, as Adam does"):
        ecl.Consensus(np.zeros(3, np.float32), optimizer="adam", solver="d2", mode="lock-step")
    with pytest.raises(ecl.Error, match="rank 1 on .* starts from other values than rank 0"):
        ecl.Consensus(np.full(3, float(rank == 1), np.float32))
    consensus = ecl.Consensus(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="the gradient has 4 values, x has 3"):
        consensus.step(np.zeros(4, np.float32))
    with pytest.raises(TypeError, match=r"x is worked on in place .*: x\[...\] = values"):
        consensus.x = np.zeros(3, np.float32)
    with pytest.raises(ecl.Error, match="a learning rate is above 0"):
        consensus.lr = 0
    with pytest.raises(ecl.Error, match="the state is damaged, or none of an ecl node"):
        consensus.load(b"something else")
    consensus.close()


def test_gradients_are_of_the_shape_of_x():
    """Or one of the two is flat. In memory's order a transposed one would be another gradient."""
    x = np.zeros((2, 3), np.float32)
    consensus = ecl.Consensus(x, solver="local", lr=1)
    gradient = np.arange(6, dtype=np.float32).reshape(2, 3)
    consensus.step(gradient)
    consensus.step(gradient.ravel())
    np.testing.assert_array_equal(x, -2 * gradient)
    with pytest.raises(ValueError, match=r"the gradient is of shape \(3, 2\), x of \(2, 3\)"):
        consensus.step(gradient.T)
    consensus.x *= 0.5
    np.testing.assert_array_equal(x, -gradient)
    consensus.close()


def test_all_names_are_imported_and_the_programs_torch_stays():
    names = {"torch": "the program's own"}
    exec("from ecl import *", names)
    assert names["torch"] == "the program's own" and names["Consensus"] is ecl.Consensus


def test_topology_tells_the_neighbours(size):
    assert ecl.topology("ring", 5) == [[1, 4], [0, 2], [1, 3], [2, 4], [0, 3]]
    assert ecl.topology("star", 4) == [[1, 2, 3], [0], [0], [0]]
    assert len(ecl.topology()) == size
    with pytest.raises(ecl.Error, match="did you mean 'ring'"):
        ecl.topology("rink", 5)


def test_a_communicator_of_mpi4py_is_taken(rank, size):
    if not ecl.mpi().startswith("Open MPI"):
        pytest.skip("Debian's mpi4py is of Open MPI")
    mpi4py = pytest.importorskip("mpi4py.MPI", reason="no mpi4py")
    half = mpi4py.COMM_WORLD.Split(rank % 2, rank)
    x = np.zeros(10, np.float32)
    consensus = ecl.Consensus(x, comm=half, lr=0.1, mode="lock-step")
    for _ in range(600):
        consensus.begin()
        consensus.step(x - rank)
    consensus.settle()
    members = range(rank % 2, size, 2)
    np.testing.assert_allclose(x, sum(members) / len(members), atol=1e-3)
    consensus.close()
