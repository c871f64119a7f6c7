#!/usr/bin/env python3
"""Applies what ecl export wrote, without ecl's code and without a runtime: the operators by NumPy.

    apply_onnx.py MODEL.onnx TABLE.csv          columns by name: those that the file itself says
    apply_onnx.py MODEL.onnx ROWS.svm           label index:value ..., indices from 1
    apply_onnx.py MODEL.onnx IMAGES             pictures in IDX format, or .bin as of CIFAR-10
    apply_onnx.py MODEL.onnx FEATURES.npy       an array
    apply_onnx.py MODEL.npz MODEL.safetensors   compares the arrays of the two

Prints label and probabilities of each row, the operators, and what the file says of itself, as JSON.
"""
import csv
import json
import pathlib
import sys

import numpy as np

import apply_model

# --- samples ---


def cell_value(column, cell):
    """A number, or that of a level."""
    if cell in apply_model.MISSING:
        return np.nan
    if column["kind"] == "number":
        return float(cell)
    return column["levels"].index(cell) if cell in column["levels"] else -1


def table(path, told):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = json.loads(told["inputs"])
    return np.array([[cell_value(c, row[c["column"]]) for c in columns] for row in rows], "float32")


def libsvm(path, told):
    lines = [line.split() for line in open(path)]
    lines = [["", *words] if ":" in words[0] else words for words in lines]  # without any of several labels
    x = np.zeros((len(lines), int(told["feature_count"])), "float32")
    for row, words in zip(x, lines):
        for index, value in (word.split(":") for word in words[1:]):
            row[int(index) - 1] = float(value)
    return x


def pictures(path, told):
    content, shape = np.fromfile(path, "u1"), json.loads(told["image"])
    if path.endswith(".bin"):
        return content.reshape(-1, 1 + np.prod(shape))[:, 1:].reshape(-1, *shape)  # each after its label
    return content[16:].reshape(-1, *shape)


def array(path, told):
    return np.load(path)


def reader(name, path, told):
    if name == "pixels":
        return pictures
    return array if path.endswith(".npy") else libsvm if told["dataset"].startswith("libsvm") else table


# --- operators: called with what the node says and its inputs ---

def conv(a, x, weight, bias=None):
    top, left, bottom, right = a["pads"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows, columns = a["strides"]
    windows = np.lib.stride_tricks.sliding_window_view(x, a["kernel_shape"], axis=(2, 3))[:, :, ::rows, ::columns]
    y = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def max_pool(a, x):
    rows, columns = a["strides"]
    windows = np.lib.stride_tricks.sliding_window_view(x, a["kernel_shape"], axis=(2, 3))
    return windows[:, :, ::rows, ::columns].max(axis=(4, 5))


def instance_normalization(a, x, scale, bias):
    axes = tuple(range(2, x.ndim))
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + a["epsilon"])
    by_channel = (-1,) + (1,) * len(axes)
    return y * scale.reshape(by_channel) + bias.reshape(by_channel)


def gemm(a, x, weight, bias):
    assert a == {"transB": 1}
    return x @ weight.T + bias


def softmax(a, x):
    e = np.exp(x - x.max(a["axis"], keepdims=True))
    return e / e.sum(a["axis"], keepdims=True)


def reshape(a, x, shape):
    return x.reshape([x.shape[i] if extent == 0 else extent for i, extent in enumerate(shape)])


TYPES = {1: np.float32, 2: np.uint8, 7: np.int64, 9: np.bool_}

OPERATORS = {
    "Add": lambda a, x, y: x + y,
    "ArgMax": lambda a, x: x.argmax(a["axis"]),
    "Cast": lambda a, x: x.astype(TYPES[a["to"]]),
    "Conv": conv,
    "Div": lambda a, x, y: x / y,
    "Equal": lambda a, x, y: x == y,
    "Flatten": lambda a, x: x.reshape(len(x), -1),
    "Gather": lambda a, x, indices: np.take(x, indices, a["axis"]),
    "Gemm": gemm,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdims=True),
    "InstanceNormalization": instance_normalization,
    "Greater": lambda a, x, y: x > y,
    "IsNaN": lambda a, x: np.isnan(x),
    "MaxPool": max_pool,
    "Mul": lambda a, x, y: x * y,
    "Relu": lambda a, x: np.maximum(x, 0),
    "Reshape": reshape,
    "Sigmoid": lambda a, x: 1 / (1 + np.exp(-x)),
    "Softmax": softmax,
    "Sub": lambda a, x, y: x - y,
    "Where": lambda a, condition, x, y: np.where(condition, x, y),
}


# --- the files ---

def run(path, samples):
    import onnx
    from onnx import helper, numpy_helper
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    graph, told = model.graph, {p.key: p.value for p in model.metadata_props}
    x = reader(graph.input[0].name, samples, told)(samples, told)
    given = graph.input[0].type.tensor_type
    assert x.dtype == TYPES[given.elem_type], x.dtype
    assert list(x.shape[1:]) == [d.dim_value for d in given.shape.dim][1:], x.shape
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = {name: list(value.shape) for name, value in values.items()}
    values[graph.input[0].name] = x
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        values[node.output[0]] = OPERATORS[node.op_type](attributes, *(values[name] for name in node.input))
    file = {"opset": model.opset_import[0].version, "operators": [node.op_type for node in graph.node],
            "shapes": shapes, "told": told, "text": model.doc_string}
    if graph.output[0].name == "prediction":
        assert values["prediction"].dtype == np.float32
        return {**file, "predictions": values["prediction"][:, 0].tolist()}
    labels = values["label" if "label" in values else "labels"]  # one a row, or 0 or 1 for each
    assert values["probabilities"].dtype == np.float32 and labels.dtype == np.int64
    return {**file,
            "labels": labels.tolist(),
            "probabilities": [[None if np.isnan(p) else p for p in row] for row in values["probabilities"].tolist()]}


def compare_arrays(path, safetensors):
    arrays = np.load(path)
    expected, _ = apply_model.load(pathlib.Path(safetensors).parent)
    same = all(arrays[name].dtype == "<f4" and np.array_equal(arrays[name], value) for name, value in expected.items())
    about = json.loads(arrays["model.json"])
    others = {name: arrays[name].tolist() for name in arrays.files if name not in expected and name != "model.json"}
    return {"same": same, "others": others, "about": about}


def main(model, other):
    print(json.dumps(compare_arrays(model, other) if model.endswith(".npz") else run(model, other)))


if __name__ == "__main__":
    main(*sys.argv[1:])
