"""A run's metrics as TensorBoard's event files: of each node, and of their mean.

A file is a row of records: length (8 bytes, little-endian), checksum of these, data, checksum of these. The checksum is
CRC-32C (Castagnoli), rotated and shifted. The data are a protobuf message, Event: wall_time (1, double), step (2,
varint), file_version (3, string) or summary (5), which holds values (1) of tag (1, string) and simple_value (2, float).
"""

import os
import struct
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Tuple

import numpy as np

from ecl._library import Error
from ecl._report._reading import Reading

_NOT_SCALARS = ("time_s", "node", "step")


def write_events(run: Reading, folder: Path) -> int:
    """DIR/mean/..., DIR/node-0/...; replaces those of the same run. Returns how many files. Raises Error."""
    begun = (run.path / "config.ini").stat().st_mtime
    series: Dict[str, List[np.ndarray]] = {"mean": run.evaluations}
    for rows in run.evaluations:
        for k, row in enumerate(rows):
            series.setdefault(f"node-{row['node']}", []).append(rows[k : k + 1])
    try:
        for name, of_series in series.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            path = folder / name / f"events.out.tfevents.{int(begun)}.ecl"
            temporary = path.with_name(f"tmp.{path.name}")
            temporary.write_bytes(b"".join(map(record, _events(of_series, begun))))
            os.replace(temporary, path)
    except OSError as error:
        failed = Error(f"cannot write {error.filename}: {error.strerror}")
        failed.code = 5
        raise failed from None
    return len(series)


def _events(evaluations: Iterable[np.ndarray], begun: float) -> Iterator[bytes]:
    yield _double(1, begun) + _bytes(3, b"brain.Event:2")
    for rows in evaluations:
        values = b""
        for name in rows.dtype.names:
            numbers = rows[name].astype(float)
            if name not in _NOT_SCALARS and np.isfinite(numbers).any():
                mean = float(numbers[np.isfinite(numbers)].mean())
                values += _bytes(1, _bytes(1, name.encode()) + b"\x15" + struct.pack("<f", mean))
        step = _varint(int(rows["step"].mean()))
        yield _double(1, begun + float(rows["time_s"].mean())) + b"\x10" + step + _bytes(5, values)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def _crc_table() -> Tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def _bytes(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)
