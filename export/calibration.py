"""Put the calibration of a model into its files, where ``Encoder`` finds it.

    python export/calibration.py copy-256

``benchmarks/near_duplicates/calibrate.py`` writes ``training/calibrations/NAME.json``. It lies outside the
specification: neither code nor fingerprint changes. ``to_onnx.py`` does the same when it exports.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "sdk")]

from vhash_sdk.matching.calibration import Calibration  # noqa: E402 (a script run from a clone finds its siblings here)
from vhash_sdk.models.modelfile import read_model  # noqa: E402

CALIBRATIONS = ROOT / "training" / "calibrations"
MODELS = ROOT / "sdk" / "vhash_sdk" / "models"
KEY = "vhash.calibration"


def stored(name: str, fingerprint: str) -> str | None:
    """The calibration of a model as it goes into a file; None where there is none of this fingerprint."""
    path = CALIBRATIONS / f"{name}.json"
    table = Calibration.load(path) if path.exists() else None
    return table.to_json() if table is not None and table.fingerprint == fingerprint else None


def main() -> None:
    """Write the calibration into every file of the model named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of a bundled model")
    name = parser.parse_args().name
    files = [path for path in (MODELS / f"{name}.int8.onnx", MODELS / f"{name}.onnx") if path.exists()]
    for path in files:
        text = stored(name, read_model(path).spec.fingerprint)
        if text is None:
            raise SystemExit(
                f"{CALIBRATIONS}: no calibration of {path.name}; "
                "python -m benchmarks.near_duplicates.calibrate makes it"
            )
        model = onnx.load(path)
        kept = [entry for entry in model.metadata_props if entry.key != KEY]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        model.metadata_props.add(key=KEY, value=text)
        onnx.save(model, path)
        print(f"{path}: {read_model(path).calibration}")


if __name__ == "__main__":
    main()
