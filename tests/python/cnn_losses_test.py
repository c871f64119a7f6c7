"""The examples' cnn in PyTorch, in lock step, beside the tool's own `--model cnn`: from the same model, by the same
batches, to the same losses. pytest runs on every rank."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import ecl
from ecl._tool import shared_path

spec = importlib.util.spec_from_file_location("cnn", Path(ecl.__file__).parents[1] / "examples" / "cnn.py")
cnn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cnn)

torch.set_num_threads(1)
PICTURES, BATCH, STEPS, LR = 88, 16, 40, 0.05
MEAN, DEVIATION = 0.1307, 0.3081  # as the data set mnist scales


class Random:
    """The tool's random numbers, as ecl/base/random.hpp tells."""

    MASK, GOLDEN, BATCHES = 2**64 - 1, 0x9E3779B97F4A7C15, 2

    def __init__(self, seed, node, epoch):
        self.state = seed + self.GOLDEN
        for key in (self.BATCHES, node, epoch):
            self.state = self.mix(self.state) + key
        self.state = self.mix(self.state)

    def mix(self, z):
        z &= self.MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & self.MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & self.MASK
        return z ^ z >> 31

    def below(self, n):
        self.state += self.GOLDEN
        return self.mix(self.state) * n >> 64


def tools_batches(rank):
    """Rows of each of the tool's batches on a rank: an order anew each epoch, cut; a batch may run into the next."""
    order, epoch = [], 0
    while True:
        while len(order) < BATCH:
            rows, random = list(range(PICTURES)), Random(1, rank, epoch)
            for n in range(PICTURES, 1, -1):
                other = random.below(n)
                rows[n - 1], rows[other] = rows[other], rows[n - 1]
            order, epoch = order + rows, epoch + 1
        yield order[:BATCH]
        order = order[BATCH:]


def site(rank):
    """Noise with a bright square, whose place is the class: three of the ten classes a rank."""
    random = np.random.default_rng(rank)
    labels = (5 * rank // 2 + random.integers(0, 3, PICTURES)).astype(np.uint8)
    pixels = random.integers(0, 120, (PICTURES, 28, 28), dtype=np.uint8)
    for picture, label in zip(pixels, labels):
        picture[7 * (label // 3) : 7 * (label // 3) + 7, 9 * (label % 3) : 9 * (label % 3) + 9] += 100
    return pixels, labels


def write(directory, pixels, labels):
    """In the format of MNIST; the test pictures are the same."""
    directory.mkdir(parents=True)
    for part in ("train", "t10k"):
        header = np.array([0x803, *pixels.shape], ">i4").tobytes()
        (directory / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = np.array([0x801, len(labels)], ">i4").tobytes()
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


@pytest.fixture
def sites(rank):
    root = Path(shared_path())
    write(root / f"site-{rank}", *site(rank))
    yield str(root / "site-{node}")
    shutil.rmtree(root / f"site-{rank}")


@pytest.mark.parametrize("local_steps", [1, 4])
def test_in_lock_step_the_losses_are_the_tools(local_steps, sites, rank):
    alike = dict(mode="lock-step", topology="ring", local_steps=local_steps, lr=LR)
    job = dict(dataset="mnist", data=sites, model="cnn", batch=BATCH, lr_schedule="cosine", **alike)
    start = ecl.train(steps=1, **job)
    run = ecl.train(steps=STEPS, init=start.path, eval_every=1e-3, settle=0, **job)  # evaluates after every step

    model = cnn.Net()
    model.load_state_dict(start.state_dict())
    optimizer = ecl.torch.Consensus(model, settle=0, **alike)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    pixels, labels = site(rank)
    x = torch.from_numpy((pixels[:, None] / np.float32(255) - np.float32(MEAN)) / np.float32(DEVIATION))
    y, losses = torch.from_numpy(labels).long(), []
    for _, rows in zip(range(STEPS), tools_batches(rank)):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())

    metrics = run.metrics[run.metrics["node"] == rank]
    assert metrics["step"].tolist() == list(range(1, STEPS + 1))
    np.testing.assert_allclose(losses, metrics["train_loss"], rtol=1e-4)
    assert losses[-1] < 0.8 * losses[0]
    optimizer.close()
