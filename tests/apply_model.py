#!/usr/bin/env python3
"""Applies the model of a run without any of ecl's code: only what its folder model/ says, and NumPy.

    apply_model.py RUN/model TABLE.csv              a table, columns by name
    apply_model.py RUN/model ROWS.svm               label index:value ..., indices from 1
    apply_model.py RUN/model IMAGES LABELS          pictures in IDX format

Prints accuracy (per cent) and log loss on the labelled samples, by their weights, and the first row's probabilities, as
JSON; of a regression RMSE, MAE and the first row's number; of several labels also how often all are right, and F1.
"""
import csv
import json
import pathlib
import sys

import numpy as np


def load(folder):
    """The parameters by name, and model.json."""
    content = (folder / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__")
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(content[start + begin:start + end], "<f4").reshape(entry["shape"])
    return arrays, json.loads((folder / "model.json").read_text())


# --- samples ---

MISSING = {"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL"}


def encoded(column, cell):
    """The features of a cell: a number, or one for each level; NaN where it is missing."""
    gone = cell in MISSING
    if column["kind"] == "category":
        features = [np.nan if gone else float(cell == level) for level in column["levels"]]
    else:
        features = [np.nan if gone else float(cell)]
    return features + [float(gone)] * column.get("indicator", False)


def table(path, about):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    features = [[f for column in about["inputs"] for f in encoded(column, row[column["column"]])] for row in rows]
    weights = np.array([float(row[about["weight"]]) if "weight" in about else 1.0 for row in rows])
    if about["loss"] == "logistic":
        labels = np.array([[row[name].lower() in ("1", "true", "yes") for name in about["classes"]] for row in rows])
    else:
        labels = labelled([row[about["label"]] for row in rows], about)
    return scaled(np.array(features), about), labels, weights


def labelled(texts, about):
    """Class numbers; of a regression the numbers themselves; of several labels 0 or 1 for each."""
    if about["loss"] == "logistic":
        return np.array([[name in text.split(",") for name in about["classes"]] for text in texts])
    return np.array([float(text) if about["target"] else about["classes"].index(text) for text in texts])


def libsvm(path, about):
    lines = [line.split() for line in open(path)]
    lines = [["", *words] if ":" in words[0] else words for words in lines]  # without any of several labels
    x = np.zeros((len(lines), about["feature_count"]))
    for row, words in zip(x, lines):
        for index, value in (word.split(":") for word in words[1:]):
            row[int(index) - 1] = float(value)
    return scaled(x, about), labelled([words[0] for words in lines], about), np.ones(len(x))


def scaled(x, about):
    if about["fill"]:
        x = np.where(np.isnan(x), about["fill"], x)
    if about["mean"]:
        x = (x - about["mean"]) / about["deviation"]
    return x.astype("float32")


def pictures(images, labels, about):
    """IDX: a magic number and sizes, big-endian, then bytes."""
    shape = about["image"]
    x = np.frombuffer(pathlib.Path(images).read_bytes()[16:], "u1").reshape(-1, *shape).astype("float32") / 255
    mean, deviation = (np.array([pixel[key] for pixel in about["pixels"]]).reshape(-1, 1, 1)
                       for key in ("mean", "deviation"))
    x = ((x - mean) / deviation).astype("float32")
    return x, np.frombuffer(pathlib.Path(labels).read_bytes()[8:], "u1"), np.ones(len(x))


# --- layers, as PyTorch's of the same names ---

def linear(p, name, x):
    return x.reshape(len(x), -1) @ p[name + ".weight"].T + p[name + ".bias"]


def relu(x):
    return np.maximum(x, 0)


def conv2d(p, name, x, stride=1, padding=0):
    weight = p[name + ".weight"]
    kernel = weight.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    return y + p[name + ".bias"].reshape(-1, 1, 1) if name + ".bias" in p else y


def group_norm(p, name, x, groups):
    grouped = x.reshape(len(x), groups, -1)
    centred = grouped - grouped.mean(axis=2, keepdims=True)
    y = (centred / np.sqrt(grouped.var(axis=2, keepdims=True) + 1e-5)).reshape(x.shape)
    return y * p[name + ".weight"].reshape(-1, 1, 1) + p[name + ".bias"].reshape(-1, 1, 1)


def max_pool2(x):
    n, c, h, w = x.shape
    return x[:, :, :h // 2 * 2, :w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


# --- models ---

def fully_connected(p, x, first=1):
    layers = sum(name.startswith("fc") and name.endswith("weight") for name in p)
    for n in range(first, layers + 1):
        x = linear(p, f"fc{n}", x)
        x = relu(x) if n < layers else x
    return x


def lenet(p, x):
    for n in (1, 2):
        x = max_pool2(relu(group_norm(p, f"norm{n}", conv2d(p, f"conv{n}", x), 2)))
    return fully_connected(p, x)


def resnet(p, x):
    groups = 8
    x = relu(group_norm(p, "norm1", conv2d(p, "conv1", x, padding=1), groups))
    blocks = sorted({tuple(name.split(".")[:2]) for name in p if name.startswith("layer")})
    for stage, number in blocks:
        name = f"{stage}.{number}"
        stride = 2 if stage != "layer1" and number == "0" else 1
        y = relu(group_norm(p, name + ".norm1", conv2d(p, name + ".conv1", x, stride, 1), groups))
        y = group_norm(p, name + ".norm2", conv2d(p, name + ".conv2", y, 1, 1), groups)
        if name + ".shortcut.0.weight" in p:
            x = group_norm(p, name + ".shortcut.1", conv2d(p, name + ".shortcut.0", x, stride), groups)
        x = relu(x + y)
    return linear(p, "fc", x.mean(axis=(2, 3)))


MODELS = {
    "softmax": lambda p, x: linear(p, "linear", x),
    "linear": lambda p, x: linear(p, "linear", x),
    "mlp": fully_connected,
    "cnn": lenet,
    "resnet": resnet,
}


def main(folder, *files):
    parameters, about = load(pathlib.Path(folder))
    read = pictures if about["image"] else libsvm if about["dataset"].startswith("libsvm") else table
    x, labels, weights = read(*files, about)
    outputs = MODELS[about["model"].split(":")[0]](parameters, x).astype("float64")
    if about["target"]:
        told = numbers(outputs, labels, weights, about["target"])
    else:
        told = (several if about["loss"] == "logistic" else classes)(outputs, labels, weights)
    print(json.dumps(told))


def mean(values, weights):
    return float(np.average(values, weights=weights))


def numbers(outputs, labels, weights, target):
    predictions = outputs[:, 0] * target["deviation"] + target["mean"]
    errors = predictions - labels
    return {"rmse": np.sqrt(mean(errors ** 2, weights)), "mae": mean(np.abs(errors), weights),
            "first": float(predictions[0])}


def classes(logits, labels, weights):
    logits -= logits.max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return {
        "accuracy": 100 * mean(logits.argmax(axis=1) == labels, weights),
        "log_loss": -mean(log_probabilities[np.arange(len(labels)), labels], weights),
        "probabilities": np.exp(log_probabilities[0]).tolist(),
    }


def several(logits, labels, weights):
    right = (logits > 0) == labels
    hits = weights @ ((logits > 0) & labels)
    return {
        "accuracy": 100 * mean(right.mean(axis=1), weights),
        "subset_accuracy": 100 * mean(right.all(axis=1), weights),
        "macro_f1": float((2 * hits / (weights @ labels + weights @ (logits > 0))).mean()),
        "log_loss": mean(np.logaddexp(0, np.where(labels, -logits, logits)).sum(axis=1), weights),
        "probabilities": (1 / (1 + np.exp(-logits[0]))).tolist(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
