"""An mlp in a loop of one's own, against `ecl simulate` on the same data, over 200 steps in lock step.

Fed with the gradients of ecl's own mlp (tests/gradients.cpp) the loop has the simulator's models to the bit. With
gradients by NumPy the bits differ: each library of linear algebra adds up products in an order of its own. Losses are
then the same but for that rounding."""

import os
import subprocess

import numpy as np
import pytest

import ecl
from ecl._run import _tensors

STEPS = 200
MEASURED = 16  # steps before adam's first, with gradients of the batches that come first
WAYS = {"sgd": {"lr": 0.1}, "clipped": {"lr": 0.1, "clip_norm": 0.3},
        "adamw": {"optimizer": "adamw:beta2=0.99", "lr": 0.01, "weight_decay": 0.1, "clip_norm": 1}}


def site(node):
    """Two of four classes, and shards of unlike size."""
    draw = np.random.default_rng(node)
    centres = np.random.default_rng(9).normal(size=(4, 6))
    y = draw.integers(0, 2, 20 + 8 * node) + 2 * (node % 2)
    return (centres[y] + draw.normal(size=(len(y), 6))).astype(np.float32), y


def simulated(tmp_path, size, first=None, **options):
    for node in range(size):
        folder = tmp_path / f"site-{node}"
        folder.mkdir(exist_ok=True)
        for name, array in zip(("features", "labels"), site(node)):
            np.save(folder / f"{name}.npy", array)
    if first:
        options["init"] = first.path
    return ecl.simulate(nodes=size, dataset="npy:standardise=0", data=tmp_path / "site-{node}", model="mlp:12",
                        test=tmp_path / "site-0", mode="lock-step", lr_schedule="constant", local_steps=2, settle=0,
                        node_models=True, **options)


def opened(x, options):
    return ecl.Consensus(x, mode="lock-step", local_steps=2, **options)


def flattened(tensors):
    return np.concatenate([values.ravel() for values in tensors.values()])


class Network:
    """Cross-entropy of a hidden layer of ReLUs, over flat parameters: fc1.weight, fc1.bias, fc2.weight, fc2.bias."""

    def __init__(self, shapes):
        self.shapes = shapes

    def parts(self, flat):
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), self.shapes)]

    def loss_and_gradient(self, flat, x, y):
        w1, b1, w2, b2 = self.parts(flat)
        hidden = np.maximum(0, x @ w1.T + b1)
        logits = hidden @ w2.T + b2
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.mean(np.log(p[np.arange(len(y)), y]))
        p[np.arange(len(y)), y] -= 1
        p /= len(y)
        back = (p @ w2) * (hidden > 0)
        return loss, np.concatenate([g.ravel() for g in (back.T @ x, back.sum(0), p.T @ hidden, p.sum(0))])


@pytest.mark.parametrize("way", WAYS)
def test_gradients_by_numpy_have_the_tools_losses(way, rank, size, tmp_path):
    whole = {"batch": 10**6}  # no batches are drawn
    first = simulated(tmp_path, size, steps=100, **whole)
    run = simulated(tmp_path, size, first, steps=STEPS, eval_every=1, **whole, **WAYS[way])
    metrics = run.metrics[run.metrics["node"] == rank]
    assert metrics["step"].tolist() == list(range(1, STEPS + 1))
    start = first.model()
    network = Network([values.shape for values in start.values()])
    flat = flattened(start)
    consensus = opened(flat, WAYS[way])
    x, y = site(rank)
    weight = np.float32(size * len(y) / sum(len(site(node)[1]) for node in range(size)))
    measured = MEASURED if "optimizer" in WAYS[way] else 0
    losses = []
    for _ in range(measured + STEPS):
        consensus.begin()
        loss, gradient = network.loss_and_gradient(flat, x, y)
        consensus.step(weight * gradient)
        losses.append(loss)
    np.testing.assert_allclose(losses[measured:], metrics["train_loss"], rtol=1e-5)
    assert losses[-1] < 0.9 * losses[0]
    consensus.begin()
    consensus.average()
    for ours, theirs in zip(network.parts(flat), run.model().values()):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    consensus.close()


def gradients_of(run, node):
    """x -> the gradient of the next batch of ecl's mlp."""
    program = subprocess.Popen([os.environ["ECL_GRADIENTS"], run.path / "config.ini", str(node)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    first = read(program, flattened(run.model()).size)

    def gradient(x):
        program.stdin.write(x.tobytes())
        program.stdin.flush()
        return read(program, x.size)

    return first, gradient, program


def read(program, count):
    return np.frombuffer(program.stdout.read(4 * count), np.float32).copy()


@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_ecls_own_mlp_make_the_simulators_bits(way, rank, size, tmp_path):
    run = simulated(tmp_path, size, steps=STEPS, batch=7, out=tmp_path / "run", **WAYS[way])
    x, gradient, program = gradients_of(run, rank)
    consensus = opened(x, WAYS[way])
    if "optimizer" in WAYS[way]:
        _, first_gradient, first_program = gradients_of(run, rank)
        for _ in range(MEASURED):
            consensus.step(first_gradient(x))
        first_program.communicate()
    for _ in range(STEPS):
        consensus.begin()
        consensus.step(gradient(x))
    consensus.begin()
    program.communicate()
    np.testing.assert_array_equal(x, flattened(_tensors(run.path / "model" / f"model-{rank}.safetensors")))
    consensus.close()
