"""Walk the bytes of an ONNX file, and refuse every way to point outside of it.

Runtimes open other files for a tensor that says so, relative to the current directory. Which bytes
say so is the runtime's reading, not ours: a parser that is more lenient or more forgetful than
theirs lets one through. So this one takes only what a serializer writes: fields of ONNX 1.23 with
their own wire types, numbers in their shortest form, no groups. Whatever it does not know it refuses.

Source: onnx.proto3 of ONNX 1.23 and the protobuf wire format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# what a field holds: v a number, V numbers, f a float, F floats, D doubles, s text, bytes, or a message
# that can hold no tensor; else the name of a message that can, or that is read
_FIELDS = {
    "Model": "1v 2s 3s 4s 5v 6s 7Graph 8s 14Entry 20Training 25Function 26s",
    "Graph": "1Node 2s 5Tensor 10s 11s 12s 13s 14s 15Sparse 16s",
    "Node": "1s 2s 3s 4s 5Attribute 6s 7s 8s 9s 10s",
    "Attribute": "1s 2f 3v 4s 5Tensor 6Graph 7F 8V 9s 10Tensor 11Graph 13s 14s 15s 20v 21s 22Sparse 23Sparse",
    "Sparse": "1Tensor 2Tensor 3V",
    "Tensor": "1V 2v 3s 4F 5V 6s 7V 8s 9s 10D 11V 12s 13s 14v 16s",
    "Training": "1Graph 2Graph 3s 4s",
    "Function": "1s 4s 5s 6s 7Node 8s 9s 10s 11Attribute 12s 13s 14s",
    "Entry": "1s 2s",
}
_WIRES = {
    "v": (_VARINT,),
    "V": (_VARINT, _BYTES),
    "f": (_FIXED32,),
    "F": (_FIXED32, _BYTES),
    "D": (_FIXED64, _BYTES),
}
_KINDS: dict[str, dict[int, str]] = {
    message: {int(number): kind for number, kind in re.findall(r"(\d+)(\w+?)(?: |$)", fields)}
    for message, fields in _FIELDS.items()
}
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_NODE_OPERATOR, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 4, 13, 14
_DEEPEST = 100  # what protobuf's parsers allow
_ORT_FORMAT = b"ORTM"  # ONNX Runtime takes a file with this at its fifth byte for one of its own format


class ExternalDataError(Exception):
    """A tensor or an operator lives in another file."""


def scan_model(model: memoryview) -> dict[str, str]:
    """The ``metadata_props`` of a model that keeps everything inside itself.

    Raises:
        ExternalDataError: it refers to data outside itself.
        ValueError, IndexError: it is not ONNX, or nothing that an exporter writes.
    """
    if model[4:8] == _ORT_FORMAT:
        raise ValueError("it is in ONNX Runtime's own format")
    metadata: dict[str, str] = {}
    graphs = 0
    for field, value in _fields("Model", model):
        if field == _MODEL_GRAPH:
            graphs += 1
        if field == _MODEL_METADATA:
            entry = {number: bytes(text) for number, text in _fields("Entry", value)}
            metadata[entry.get(1, b"").decode()] = entry.get(2, b"").decode()
        else:
            _check("Model", field, value, 1)
    if graphs != 1:
        raise ValueError("it holds no graph" if not graphs else "it holds more than one graph")
    return metadata


def _check(message: str, field: int, value: Any, depth: int) -> None:
    """Refuse a field that points outside, or that holds one which does."""
    kind = _KINDS[message][field]
    if kind in _KINDS:
        if depth == _DEEPEST:
            raise ValueError(f"messages nested deeper than {_DEEPEST}")
        for inner, part in _fields(kind, value):
            _check(kind, inner, part, depth + 1)
    elif message == "Tensor":
        if field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0):
            raise ExternalDataError
    elif message == "Node" and field == _NODE_OPERATOR and value == b"EPContext":
        raise ExternalDataError  # a network compiled elsewhere, which may be the name of a file


def _fields(message: str, content: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value) of one message; values that are no numbers are views into it."""
    kinds = _KINDS[message]
    at, end = 0, len(content)
    while at < end:
        key, at = _varint(content, at, 32)
        field, wire = key >> 3, key & 7
        kind = kinds.get(field)
        if kind is None:
            raise ValueError(f"field {field} of a {message} is not of ONNX 1.23")
        if wire not in _WIRES.get(kind, (_BYTES,)):
            raise ValueError(f"field {field} of a {message} has wire type {wire}")
        if wire == _VARINT:
            value, at = _varint(content, at, 64)
            yield field, value
            continue
        size, at = _varint(content, at, 31) if wire == _BYTES else (8 if wire == _FIXED64 else 4, at)
        if size > end - at:
            raise ValueError("a field runs past the end of the file")
        yield field, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int, bits: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, bits, 7):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> bits or (shift and not byte):
                raise ValueError("a number that is too large, or longer than it need be")
            return value, at
    raise ValueError(f"a number of more than {bits} bits")
