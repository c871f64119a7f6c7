"""LeNet-5 learns pictures of clothes from sites that have seen two or three of the ten classes each:

    mpirun -n 4 python3 cnn.py
    python3 cnn.py                        # all pictures in one place: what the sites are compared with

A plain PyTorch script but for three lines, marked <--. It wants the files of Fashion-MNIST or MNIST: Debian's package
dataset-fashion-mnist, or what scripts/fetch-data mnist gets, with --data DIR."""

import argparse
import gzip
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import ecl  # <--


class Net(nn.Module):
    """The tool's `--model cnn`, with its names: a state_dict of the one fits the other."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 6, 5), nn.GroupNorm(2, 6)
        self.conv2, self.norm2 = nn.Conv2d(6, 16, 5), nn.GroupNorm(2, 16)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.norm1(self.conv1(x))), 2)
        x = functional.max_pool2d(torch.relu(self.norm2(self.conv2(x))), 2)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))


def read(directory, part):
    """Pictures (n x 1 x 28 x 28) and labels (n) of the IDX files `part`-images-idx3-ubyte and -labels-idx1-ubyte."""

    def values(name, header):
        path = Path(directory, f"{part}-{name}-ubyte")
        content = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
        return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header)

    pictures = values("images-idx3", 16).view(-1, 1, 28, 28).float() / 255
    return (pictures - 0.2860) / 0.3530, values("labels-idx1", 8).long()


def accuracy(model, x, y):
    with torch.no_grad():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(x.split(1000), y.split(1000)))
    return 100 * hits / len(y)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--mode", default="async", help="lock-step: the same result each time")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the ranks share the cores

    x, y = read(args.data, "train")
    mine = y.argsort(stable=True).chunk(ecl.size())[ecl.rank()]  # sorted by class and cut: a site's own pictures
    x, y = x[mine], y[mine]

    torch.manual_seed(1)
    model = Net()
    optimizer = ecl.torch.Consensus(model, lr=args.lr, mode=args.mode)  # <-- for torch.optim.SGD
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs * -(-len(y) // args.batch))
    for epoch in range(args.epochs):
        for rows in torch.randperm(len(y)).split(args.batch):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            scheduler.step()
    optimizer.settle()  # <-- until all sites agree

    seen, right = ", ".join(map(str, y.unique().tolist())), accuracy(model, *read(args.data, "t10k"))
    print(f"site {ecl.rank()} has seen classes {seen}: right on {right:.2f} % of all classes' test pictures\n", end="")


if __name__ == "__main__":
    main()
