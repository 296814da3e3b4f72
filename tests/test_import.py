"""What `import vhash_sdk` costs, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

import vhash_sdk

CODE = """
import json, sys, time
start = time.perf_counter()
import numpy
numpy_at = time.perf_counter()
import vhash_sdk
vhash_sdk.VideoCode, vhash_sdk.VhashError
print(json.dumps({"own": time.perf_counter() - numpy_at, "all": time.perf_counter() - start,
                  "loaded": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def test_import_loads_numpy_and_the_engine_only() -> None:
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", CODE])) for _ in range(3)]
    heavy = {"torch", "onnx", "onnxruntime", "openvino", "av", "rich", "typer", "sqlite3", "scipy"}
    assert not heavy & set(runs[0]["loaded"])
    assert min(run["own"] for run in runs) < 0.2


def test_every_public_name_resolves() -> None:
    code = "import vhash_sdk; [getattr(vhash_sdk, name) for name in vhash_sdk.__all__]"
    subprocess.run([sys.executable, "-c", code], check=True)
    known = {
        "Calibration",
        "Encoder",
        "Encoded",
        "Index",
        "Library",
        "Limits",
        "VideoCode",
        "compare",
        "open_index",
    }
    assert known <= set(vhash_sdk.__all__)


OLD_PATHS = {
    "codes": ["VideoCode", "as_codes", "code_bytes", "hamming_distance", "pack_bits", "same_model"],
    "errors": ["VhashError", "VideoError", "OptionError", "StoreError"],
    "spec": ["ModelSpec", "Resize", "Sampling"],
    "video": ["Limits", "PyavDecoder", "VideoInfo", "find_region", "open_source"],
    "index": ["Codes", "Index", "Matches", "Pairs", "RangeMatches", "set_simd_level", "simd_levels"],
    "library": ["Library"],
    "engines.bulk": ["import_codes"],
    "engines.cluster": ["Cluster"],
    "engines.milvus": ["MilvusIndex", "MilvusOptions"],
    "engines.pairs": ["find_pairs"],
    "engines.protocol": ["CodeIndex", "OpenIndex"],
    "engines.ray": ["EncoderOptions", "encode_dataset"],
}
"""Modules that people import from, and what they find there, wherever it is kept now."""


@pytest.mark.parametrize("module", OLD_PATHS)
def test_former_places_still_hand_out_what_was_there(module: str) -> None:
    names = ", ".join(OLD_PATHS[module])
    subprocess.run([sys.executable, "-c", f"from vhash_sdk.{module} import {names}"], check=True)


def test_a_former_place_hands_out_the_same_thing() -> None:
    from vhash_sdk.engines import protocol as former
    from vhash_sdk.index import protocol

    assert former.CodeIndex is protocol.CodeIndex and former.OpenIndex is protocol.OpenIndex
    assert vhash_sdk.Limits is import_module("vhash_sdk.video.decoder").Limits
    assert vhash_sdk.Calibration is import_module("vhash_sdk.matching.calibration").Calibration
