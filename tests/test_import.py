"""What `import vhash_sdk` costs, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

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
