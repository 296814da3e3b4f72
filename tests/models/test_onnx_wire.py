"""Whatever ONNX's own parser sees outside of a file is refused, however it is written down."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from google.protobuf.message import DecodeError, Message  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.tiny_model import tiny_model, tiny_spec  # noqa: E402
from vhash_sdk.errors import ModelError  # noqa: E402
from vhash_sdk.models import onnx_wire  # noqa: E402
from vhash_sdk.models.modelfile import read_model  # noqa: E402

CLASSES = {
    "Model": onnx.ModelProto,
    "Graph": onnx.GraphProto,
    "Node": onnx.NodeProto,
    "Attribute": onnx.AttributeProto,
    "Sparse": onnx.SparseTensorProto,
    "Tensor": onnx.TensorProto,
    "Training": onnx.TrainingInfoProto,
    "Function": onnx.FunctionProto,
    "Entry": onnx.StringStringEntryProto,
}
SCALARS = {3: "v", 4: "v", 5: "v", 14: "v", 2: "f", 1: "d", 9: "s", 12: "s"}  # descriptor's types


def varint(value: int, *, length: int = 0) -> bytes:
    """A number; with ``length`` in so many bytes, though fewer would do."""
    out = bytearray()
    while value >= 0x80 or len(out) < length - 1:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number: int, content: bytes | int, *, tag: int = 0, length: int = 0) -> bytes:
    wire = 0 if isinstance(content, int) else 2
    key = varint((number << 3 | wire) + tag, length=length)
    return key + (varint(content) if isinstance(content, int) else varint(len(content)) + content)


def sound() -> bytes:
    return bytes(tiny_model(tiny_spec()).SerializeToString())


def in_a_tensor(*parts: bytes) -> bytes:
    """A sound model with one more initializer, of these bytes."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "x").SerializeToString()
    graph = tiny_model(tiny_spec()).graph.SerializeToString() + field(5, tensor + b"".join(parts))
    model = tiny_model(tiny_spec())
    model.ClearField("graph")
    return bytes(model.SerializeToString()) + field(7, graph)


LOCATION = field(1, b"location") + field(2, b"secret.bin")


def test_the_table_is_that_of_onnx() -> None:
    of = {kind.DESCRIPTOR.full_name: name for name, kind in CLASSES.items()}
    for name, kind in CLASSES.items():
        for known in kind.DESCRIPTOR.fields:
            found = onnx_wire._KINDS[name].get(known.number)
            if known.message_type is None:
                kind_of = SCALARS[known.type]
                many = known.is_repeated and kind_of != "s"
                assert found == (kind_of.upper() if many else kind_of), (name, known.name)
            elif found != "s":
                assert found == of[known.message_type.full_name], (name, known.name)
            else:  # not looked into: no tensor may be in it, however deep
                assert not holds_tensor(known.message_type), (name, known.name)
        assert set(onnx_wire._KINDS[name]) == {known.number for known in kind.DESCRIPTOR.fields}


def holds_tensor(descriptor: Any, seen: frozenset[str] = frozenset()) -> bool:
    if descriptor.full_name in seen:
        return False
    if descriptor.full_name == "onnx.TensorProto":
        return True
    seen |= {descriptor.full_name}
    return any(holds_tensor(inner.message_type, seen) for inner in descriptor.fields if inner.message_type)


@pytest.mark.parametrize(
    "parts",
    [
        field(13, LOCATION, tag=1 << 32) + field(14, 1, tag=1 << 32),  # protobuf drops what is over 32 bits
        field(13, LOCATION, tag=3 << 33),
        field(14, (1 << 32) + 1),  # read as an enumeration of 32 bits
        field(14, 1, length=5),
        field(14, 1, length=4) + field(13, LOCATION, length=5),
        field(14, 1) + field(14, 0),
        field(14, 2),
        field(14, 1 << 63),
        field(13, b""),
    ],
)
def test_other_spellings_of_external_data(tmp_path: Path, parts: bytes) -> None:
    (tmp_path / "evil.onnx").write_bytes(in_a_tensor(parts))
    with pytest.raises(ModelError, match=r"evil\.onnx"):
        read_model(tmp_path / "evil.onnx")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("group", b"\x9b\x01\x9c\x01"),
        ("number 0", b"\x00\x01"),
        ("wire type 6", b"\x0e\x01"),
        ("eleven bytes", field(5, 0)[:-1] + b"\xff" * 10 + b"\x01"),
        ("over 64 bits", field(5, 0)[:-1] + b"\xff" * 9 + b"\x7f"),
        ("longer than need be", field(5, 0)[:-1] + b"\x85\x00"),
        ("length of 2^32 and more", b"\x32\x81\x80\x80\x80\x10x"),
        ("wrong wire type", field(5, b"text")),
        ("unknown field", field(99, b"text")),
        ("second graph", field(7, b"")),
    ],
)
def test_what_no_exporter_writes(tmp_path: Path, name: str, part: bytes) -> None:
    (tmp_path / "odd.onnx").write_bytes(part + sound())
    with pytest.raises(ModelError, match="not a readable ONNX file"):
        read_model(tmp_path / "odd.onnx")


def test_other_ways_out_of_the_file(tmp_path: Path) -> None:
    model = tiny_model(tiny_spec())
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "x")
    onnx.external_data_helper.set_external_data(tensor, "secret.bin")
    tensor.ClearField("raw_data")
    for part in ("initialization", "algorithm"):
        model = tiny_model(tiny_spec())
        getattr(model.training_info.add(), part).initializer.append(tensor)
        (tmp_path / f"{part}.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="another file"):
            read_model(tmp_path / f"{part}.onnx")
    model = tiny_model(tiny_spec())
    node = helper.make_node(
        "EPContext", [], ["x"], domain="com.microsoft", embed_mode=0, ep_cache_context="/x"
    )
    model.graph.node.append(node)
    (tmp_path / "compiled.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="another file"):
        read_model(tmp_path / "compiled.onnx")
    # the same bytes as ONNX and as ONNX Runtime's own format
    (tmp_path / "both.onnx").write_bytes(field(2, b"..ORTM") + sound())
    with pytest.raises(ModelError, match="own format"):
        read_model(tmp_path / "both.onnx")


def external_anywhere(message: Message) -> bool:
    """What ONNX's own parser has seen."""
    if isinstance(message, TensorProto):
        return bool(message.external_data) or message.data_location == TensorProto.EXTERNAL
    for known, value in message.ListFields():
        if known.message_type is not None:
            for inner in value if known.is_repeated else (value,):
                if external_anywhere(inner):
                    return True
    return False


def places() -> Iterator[Callable[[Any, Any], Any]]:
    """Everywhere that a tensor may be."""
    yield lambda model, tensor: model.graph.initializer.append(tensor)
    yield lambda model, tensor: model.graph.node.append(helper.make_node("Constant", [], ["x"], value=tensor))

    def many(model: Any, tensor: Any) -> None:
        attribute = model.graph.node.add(op_type="Any").attribute.add(name="a", type=9)
        attribute.tensors.extend([numpy_helper.from_array(np.zeros(1)), tensor])

    def sparse(model: Any, tensor: Any) -> None:
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)

    def sparse_indices(model: Any, tensor: Any) -> None:
        attribute = model.graph.node.add(op_type="Constant").attribute.add(name="sparse_value", type=11)
        attribute.sparse_tensor.indices.CopyFrom(tensor)

    def subgraphs(model: Any, tensor: Any) -> None:
        attribute = model.graph.node.add(op_type="If").attribute.add(name="then_branch", type=10)
        inner = attribute.graphs.add().node.add(op_type="Loop").attribute.add(name="body", type=5)
        inner.g.initializer.append(tensor)

    def function(model: Any, tensor: Any) -> None:
        node = model.functions.add(name="f", domain="d").node.add(op_type="Constant")
        node.attribute.add(name="value", type=4).t.CopyFrom(tensor)

    def training(model: Any, tensor: Any) -> None:
        model.training_info.add().algorithm.initializer.append(tensor)

    yield from (many, sparse, sparse_indices, subgraphs, function, training)


def rewritten(content: bytes, message: str, generator: random.Random) -> bytes:
    """The same message as other parsers read it, in other words: as no serializer writes it."""
    out, at = [], 0
    while at < len(content):
        start = at
        key, at = onnx_wire._varint(memoryview(content), at, 32)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = onnx_wire._varint(memoryview(content), at, 64)
            body = varint(value, length=generator.choice((0, 0, 10)))
        else:
            size, at = (
                onnx_wire._varint(memoryview(content), at, 31) if wire == 2 else ((8, 4)[wire == 5], at)
            )
            inner, at = content[at : at + size], at + size
            kind = onnx_wire._KINDS[message].get(number, "")
            if kind in CLASSES and generator.random() < 0.8:
                inner = rewritten(inner, kind, generator)
            body = varint(len(inner), length=generator.choice((0, 0, 5))) + inner if wire == 2 else inner
        way = generator.randrange(8)
        if way == 0:
            out.append(varint(key + (generator.randrange(1, 8) << 32)) + body)
        elif way == 1:
            out.append(varint(key, length=5) + body)
        elif way == 2:
            out.append(varint(key ^ generator.randrange(8)) + body)
        elif way == 3:
            out.append(varint(generator.randrange(16, 4000) << 3 | 2) + varint(len(body)) + body)
        elif way == 4:
            out += [content[start:at]] * 2
        else:
            out.append(varint(key) + body)
    return b"".join(out)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_onnx_sees_outside_is_refused(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "x")
    onnx.external_data_helper.set_external_data(tensor, "secret.bin")
    tensor.ClearField("raw_data")
    path, seen = tmp_path / "mutant.onnx", 0
    for put in places():
        model = tiny_model(tiny_spec())
        put(model, tensor)
        content = model.SerializeToString()
        for _ in range(60):
            mutant = bytearray(
                rewritten(content, "Model", generator) if generator.random() < 0.8 else content
            )
            for _ in range(generator.choice((0, 0, 1, 3))):
                mutant[generator.randrange(len(mutant))] = generator.randrange(256)
            try:
                read = onnx.ModelProto.FromString(bytes(mutant))
            except (DecodeError, UnicodeDecodeError):
                continue
            if external_anywhere(read):
                seen += 1
                path.write_bytes(mutant)
                with pytest.raises(ModelError):
                    read_model(path)
    assert seen > 50
