"""The losses that tests/layers_test.cpp expects: PyTorch's, of twenty steps of gradient descent.

Initial parameters and batches come from a formula that both sides compute. Needs Debian's python3-torch:
    python3 tests/torch_reference.py
"""
import numpy
import torch
from torch import nn
from torch.nn import functional


def noise(first, count):
    """Numbers first, first + 1, ... of a sequence that is uniform in -1 .. 1: an integer hash."""
    h = (numpy.arange(first, first + count, dtype=numpy.uint64) * 2654435761) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 2246822519) & 0xFFFFFFFF
    h ^= h >> 13
    return torch.from_numpy((h / 2.0**31 - 1).astype(numpy.float32))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)

    def forward(self, x):
        return self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(x.flatten(1))))))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 6, 5), nn.GroupNorm(2, 6)
        self.conv2, self.norm2 = nn.Conv2d(6, 16, 5), nn.GroupNorm(2, 16)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.norm1(self.conv1(x))), 2)
        x = functional.max_pool2d(functional.relu(self.norm2(self.conv2(x))), 2)
        return self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(x.flatten(1))))))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.GroupNorm(8, outputs))

    def forward(self, x):
        y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


class Resnet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.GroupNorm(8, 16)
        inputs = 16
        for stage in range(3):
            blocks = []
            for b in range((depth - 2) // 6):
                blocks.append(Block(inputs, 16 << stage, 2 if stage > 0 and b == 0 else 1))
                inputs = 16 << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = functional.relu(self.norm1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3):
            x = layer(x)
        return self.fc(x.mean((2, 3)))


def losses(model, image, batch, rate):
    """Twenty losses; noise() gives the parameters, one after the other, then the pictures."""
    at = 0
    with torch.no_grad():
        for name, values in model.named_parameters():
            unit = noise(at, values.numel()).reshape(values.shape)
            at += values.numel()
            if values.dim() > 1:
                values.copy_(unit * float(numpy.sqrt(6 / values[0].numel())))
            else:
                values.copy_(0.1 * unit + (1 if name.endswith("weight") else 0))
    pixels = int(numpy.prod(image))
    result = []
    for step in range(20):
        x = noise(at + step * batch * pixels, batch * pixels).reshape(batch, *image)
        labels = torch.tensor([(7 * (step * batch + n) // 3) % 10 for n in range(batch)])
        model.zero_grad()
        loss = functional.cross_entropy(model(x), labels)
        loss.backward()
        with torch.no_grad():
            for values in model.parameters():
                values -= rate * values.grad
        result.append(loss.item())
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, model, image, batch, rate in (("mlp:256,128", Mlp(), (1, 28, 28), 64, 0.05),
                                            ("cnn", Cnn(), (1, 28, 28), 64, 0.05),
                                            ("resnet:8", Resnet(8), (3, 32, 32), 16, 0.01)):
        print(f'    {{"{name}", {{{image[0]}, {image[1]}, {image[2]}}}, {batch}, {rate}f,\n     {{'
              + ", ".join(f"{loss:.7f}" for loss in losses(model, image, batch, rate)) + "}},")
