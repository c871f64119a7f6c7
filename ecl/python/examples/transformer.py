"""A small transformer learns to write, a character after the other, from sites whose texts are of different languages:
C++, Python, English and shell, out of this repository.

    mpirun -n 4 python3 transformer.py
    mpirun -n 4 python3 transformer.py --alone      # nobody talks: what a site reaches by itself
    python3 transformer.py                          # all texts in one place

At the end each says how well its model foretells text that nobody trained on, of every kind, in nats per character.
The local step is AdamW's, of the gradient with the neighbours' corrections; its norm is clipped."""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu

import ecl

CONTEXT, CHARACTERS = 64, 128
KINDS = {
    "C++": ["solvers/*.cpp"],
    "Python": ["ecl/python/ecl/*.py"],
    "English": ["README.md", "ecl/*/README.md"],
    "shell": ["scripts/*[!md]", "CMakeLists.txt", "*/CMakeLists.txt"],
}


class Block(nn.Module):
    """Attention to what came before, then an MLP, each added to its input and with a LayerNorm in front."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.register_buffer("future", torch.full((CONTEXT, CONTEXT), -torch.inf).triu(1))

    def forward(self, x):
        count, length, width = x.shape
        q, k, v = self.queries_keys_values(self.norm1(x)).view(count, length, 3, self.heads, -1).unbind(2)
        scores = torch.einsum("nqhd,nkhd->nhqk", q, k) / q.shape[-1] ** 0.5
        attention = (scores + self.future[:length, :length]).softmax(-1)
        x = x + self.out(torch.einsum("nhqk,nkhd->nqhd", attention, v).reshape(count, length, width))
        return x + self.down(gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, width=64, heads=4, blocks=2):
        super().__init__()
        self.characters, self.places = nn.Embedding(CHARACTERS, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, CHARACTERS)

    def forward(self, x):
        """Characters (n x length) to scores of the next one at each place (n x length x 128)."""
        return self.out(self.norm(self.blocks(self.characters(x) + self.places.weight[: x.shape[1]])))


def read(patterns):
    """A kind's characters to train on, and those to test on: of every file the last tenth."""
    root = Path(__file__).resolve().parents[3]
    files = [path.read_bytes() for pattern in patterns for path in sorted(root.glob(pattern))
             if path.is_file()]
    both = zip(*((text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]) for text in files))
    return [torch.tensor(list(b"".join(parts))).clamp(max=CHARACTERS - 1) for parts in both]


def batch(texts, count):
    """`count` pieces of each text, and the same a character later."""
    pieces = torch.stack([text[i : i + CONTEXT + 1] for text in texts
                          for i in torch.randint(len(text) - CONTEXT, (count,))])
    return pieces[:, :-1], pieces[:, 1:]


def loss(model, x, y):
    return cross_entropy(model(x).flatten(0, 1), y.flatten())


def held_out_loss(model, text):
    pieces = text[: (len(text) - 1) // CONTEXT * CONTEXT + 1]
    with torch.no_grad():
        return loss(model, pieces[:-1].view(-1, CONTEXT), pieces[1:].view(-1, CONTEXT)).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--mode", default="async", help="lock-step: the same result each time")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the ranks share the cores

    texts = {kind: read(patterns) for kind, patterns in KINDS.items()}
    seen = list(KINDS)[ecl.rank() :: ecl.size()]  # of four ranks one each; one rank has all
    mine = [texts[kind][0] for kind in seen]

    torch.manual_seed(1)
    model = Transformer()
    optimizer = ecl.torch.Consensus(model, lr=args.lr, optimizer="adamw", weight_decay=0.01, clip_norm=1.0,
                                    mode=args.mode, solver="local" if args.alone else "ecl")
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
    for step in range(args.steps):
        optimizer.zero_grad()
        loss(model, *batch(mine, 16)).backward()
        optimizer.step()
        scheduler.step()
    if not args.alone:
        optimizer.settle()

    losses = {kind: held_out_loss(model, test) for kind, (_, test) in texts.items()}
    print(f"site {ecl.rank()} has {', '.join(seen)}:", *(f"{kind} {value:.2f}," for kind, value in losses.items()),
          f"mean {sum(losses.values()) / len(losses):.2f}\n", end="")


if __name__ == "__main__":
    main()
