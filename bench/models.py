"""Images per second of every model on one core, beside PyTorch: gradient of a batch and step of plain gradient descent.

`bench/models` starts this. ecl and PyTorch take turns; of each the best turn counts. PyTorch runs with the samples'
channels first and last, and the faster counts.
"""
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from torch_reference import Cnn, Mlp, Resnet  # noqa: E402

PROGRAM = ROOT / "build/bench/models"
TURNS, SECONDS = 4, 1.5


class Wide(nn.Module):
    """The convolutional network of McMahan et al., AISTATS 2017."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(3136, 512), nn.Linear(512, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


GREY, COLOUR = (1, 28, 28), (3, 32, 32)
MODELS = [("softmax", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), GREY, 100),
          ("mlp:256,128", Mlp, GREY, 64),
          ("cnn", Cnn, GREY, 64),
          ("cnn:groups=0,channels=32/64,hidden=512,padding=2", Wide, GREY, 64),
          ("resnet:8", lambda: Resnet(8), COLOUR, 64),
          ("resnet:20", lambda: Resnet(20), COLOUR, 64)]


def product_flops(model, image):
    """Of one image's products: forward, and backward to the weights and, but for the first layer, to the input."""
    counts = []

    def count(module, _, output):
        counts.append(2 * module.weight.numel() * output.numel() // output.shape[1])

    hooks = [module.register_forward_hook(count) for module in model.modules() if hasattr(module, "weight")
             and module.weight.dim() > 1]
    model(torch.zeros(1, *image))
    for hook in hooks:
        hook.remove()
    return 3 * sum(counts) - counts[0]


def torch_speed(make, image, batch, order):
    model = make().to(memory_format=order)
    x = torch.rand(batch, *image).to(memory_format=order)
    labels = torch.arange(batch) % 10
    optimiser = torch.optim.SGD(model.parameters(), lr=0.001)

    def step():
        optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(model(x), labels).backward()
        optimiser.step()

    step(), step()
    best, spells = 0.0, 5
    for _ in range(spells):
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS / spells:
            step()
            steps += 1
        best = max(best, steps * batch / (time.perf_counter() - start))
    return best


def ours(*words):
    return float(subprocess.run([PROGRAM, *map(str, words), str(SECONDS)], check=True, stdout=subprocess.PIPE).stdout)


def main():
    torch.set_num_threads(1)
    orders = [torch.contiguous_format, torch.channels_last]
    peak = max(ours("product") for _ in range(TURNS))
    print(f"Matrix product of 1024 x 1024 (Eigen): {peak:.0f} GFLOP/s. PyTorch {torch.__version__}.\n")
    print("| model | batch | ecl, images/s | PyTorch | ratio | GFLOP/s of products | of the peak |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, make, image, batch in MODELS:
        mine = theirs = 0.0
        for _ in range(TURNS):
            mine = max(mine, ours(name, *image, batch))
            theirs = max([theirs] + [torch_speed(make, image, batch, order) for order in orders[:1 + (image[0] > 1)]])
        rate = mine * product_flops(make(), image) * 1e-9
        print(f"| `{name}` | {batch} | {mine:,.0f} | {theirs:,.0f} | {mine / theirs:.2f} | {rate:.0f} | "
              f"{100 * rate / peak:.0f} % |", flush=True)


main()
