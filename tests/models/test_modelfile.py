from __future__ import annotations

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.tiny_model import save_tiny_model, tiny_model, tiny_spec  # noqa: E402
from vhash_sdk.errors import ModelError, ModelNotFoundError, VhashError  # noqa: E402
from vhash_sdk.models.modelfile import read_model  # noqa: E402


def test_reads_what_onnx_wrote(tmp_path: Path) -> None:
    model = tiny_model(tiny_spec(), metadata={"vhash.card": '{"licence": "none"}', "vhash.precision": "int8"})
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model.SerializeToString())
    read = read_model(path)
    assert read.spec == tiny_spec() and read.card == {"licence": "none"} and read.precision == "int8"
    assert read.metadata == {prop.key: prop.value for prop in model.metadata_props}


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")
    return tensor


def test_data_outside_the_file_is_refused_wherever_it_hides(tmp_path: Path) -> None:
    def in_initializer(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(external(numpy_helper.from_array(np.zeros(4, np.float32), "x")))

    def in_attribute(model: onnx.ModelProto) -> None:
        tensor = external(numpy_helper.from_array(np.zeros(4, np.float32), "x"))
        model.graph.node.append(helper.make_node("Constant", [], ["x"], value=tensor))

    def in_subgraph(model: onnx.ModelProto) -> None:
        inner = helper.make_graph([], "g", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, [1])])
        inner.initializer.append(external(numpy_helper.from_array(np.zeros(1, np.float32), "o")))
        node = helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner)
        model.graph.node.append(node)

    def in_sparse(model: onnx.ModelProto) -> None:
        values = external(numpy_helper.from_array(np.zeros(1, np.float32), "x"))
        indices = numpy_helper.from_array(np.zeros(1, np.int64))
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))

    def in_function(model: onnx.ModelProto) -> None:
        tensor = external(numpy_helper.from_array(np.zeros(4, np.float32), "x"))
        nodes = [helper.make_node("Constant", [], ["x"], value=tensor)]
        model.functions.append(helper.make_function("d", "f", [], ["x"], nodes, []))

    def sparse() -> onnx.SparseTensorProto:
        values = external(numpy_helper.from_array(np.zeros(1, np.float32), "x"))
        return helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64)), [4])

    def in_sparse_attribute(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Constant", [], ["x"], sparse_value=sparse()))

    def in_function_default(model: onnx.ModelProto) -> None:
        function = helper.make_function("d", "f", [], ["x"], [], [])
        tensor = external(numpy_helper.from_array(np.zeros(4, np.float32), "x"))
        function.attribute_proto.append(helper.make_attribute("value", tensor))
        model.functions.append(function)

    hiders = (in_initializer, in_attribute, in_subgraph, in_sparse, in_function, in_sparse_attribute)
    for hide in (*hiders, in_function_default):
        model = tiny_model(tiny_spec())
        hide(model)
        path = tmp_path / f"{hide.__name__}.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="another file"):
            read_model(path)


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="missing.onnx"):
        read_model(tmp_path / "missing.onnx")
    with pytest.raises(ModelNotFoundError):
        read_model(tmp_path)
    model = tiny_model(tiny_spec())
    del model.metadata_props[:]
    (tmp_path / "plain.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="without a vhash.spec"):
        read_model(tmp_path / "plain.onnx")
    for content in (b"", b"hello, this is text", bytes(1000), b"\xff" * 64):
        (tmp_path / "junk.onnx").write_bytes(content)
        with pytest.raises(ModelError, match="not a readable ONNX file"):
            read_model(tmp_path / "junk.onnx")


def test_a_number_where_text_belongs_allocates_nothing(tmp_path: Path) -> None:
    # metadata_props { key: varint 2**45 }: bytes(2**45) would ask for 32 TiB
    (tmp_path / "evil.onnx").write_bytes(bytes.fromhex("72 08 08 80 80 80 80 80 80 08 3a 00"))
    with pytest.raises(ModelError, match=r"evil\.onnx"):
        read_model(tmp_path / "evil.onnx")


def test_mutated_files_never_crash_the_reader(tmp_path: Path) -> None:
    content = save_tiny_model(tmp_path / "tiny.onnx").read_bytes()
    generator = random.Random(3)
    for _ in range(1500):
        mutant = bytearray(content[: generator.randrange(1, len(content) + 1)])
        for _ in range(generator.randrange(4)):
            mutant[generator.randrange(len(mutant))] = generator.randrange(256)
        (tmp_path / "mutant.onnx").write_bytes(mutant)
        with contextlib.suppress(VhashError):
            read_model(tmp_path / "mutant.onnx")
