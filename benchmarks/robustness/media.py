"""A folder of anyone's odd files against FFmpeg: python -m benchmarks.robustness.media DIR [--output REPORT]

Each file gets a code by ``Encoder.encode_many(isolate=True)``, and so do the frames that FFmpeg's own
program shows of it (``judge``): the distance of the two says whether what was coded is what a person
sees. Writes REPORT.json and REPORT.md (default: media_report): per file the code's distance or the
error, and its properties; then what to look at first.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import command_line, machine, table
from benchmarks.robustness.judge import Shown, shown
from vhash_sdk import Encoder
from vhash_sdk.encoding.encoded import Encoded
from vhash_sdk.errors import VideoError
from vhash_sdk.video import Limits

NEAR = 20
"""Bits of the default model within which two codes are taken to be of the same picture."""

_LIMITS = Limits(wall_time=60.0, memory=2 << 30)


def compare(encoder: Encoder, result: Encoded) -> dict[str, Any]:
    """What became of one file, and what FFmpeg shows of it."""
    path = Path(str(result.source))
    row: dict[str, Any] = {"file": str(path), "bytes": path.stat().st_size}
    info = result.info
    seen = shown(path, encoder.spec, 0 if info is None else info.stream)
    row["ffmpeg"] = {
        "pictures": seen.count,
        "seconds": round(seen.seconds, 3),
        "stream": seen.stream,
        "problem": seen.problem,
    }
    if result.error is not None:
        row["error"] = {"type": type(result.error).__name__, "message": str(result.error)}
        if not isinstance(result.error, VideoError) or "unexpected" in str(result.error):
            row["unexpected"] = True
    if result.code is not None and info is not None:
        row["code"], row["info"] = result.code.text, {**asdict(info), "notes": list(info.notes())}
        if seen.frames is not None:
            row["distance"] = int(result.code - encoder.encode(seen.frames))
    row["verdict"] = verdict(row, seen)
    return row


def verdict(row: dict[str, Any], seen: Shown) -> str:
    """In a few words, whether the two agree."""
    if row.get("unexpected"):
        return "unexpected error"
    if "error" in row:
        return "refused, FFmpeg shows it" if seen.frames is not None else "both refuse"
    if seen.frames is None:
        return "coded, FFmpeg shows nothing"
    return "same picture" if row["distance"] <= NEAR else "another picture"


def report(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, what is worth a look first."""
    order = (
        "unexpected error", "another picture", "coded, FFmpeg shows nothing", "refused, FFmpeg shows it",
        "same picture", "both refuse",
    )  # fmt: skip
    counts = Counter(row["verdict"] for row in rows)
    parts = ["# Odd files against FFmpeg", "", table(("verdict", "files"), [(v, counts[v]) for v in order])]
    for kind in order:
        found = sorted((r for r in rows if r["verdict"] == kind), key=lambda r: -r.get("distance", 0))
        if found:
            lines = [(_escape(r["file"]), r.get("distance", ""), _escape(_remark(r))) for r in found]
            parts += ["", f"## {kind}", "", table(("file", "bits", "what"), lines)]
    return "\n".join(parts) + "\n"


def _remark(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['error']['type']}: {row['error']['message'].replace(row['file'], '').strip(' :')}"
    info = row["info"]
    size = f"{info['width']}×{info['height']} {info['codec']}, {info['duration']:.2f} s"
    theirs = row["ffmpeg"]
    said = [
        size,
        *info["notes"],
        f"FFmpeg: {theirs['seconds']:.2f} s; {theirs['stream'] or theirs['problem']}",
    ]
    return "; ".join(said)


def _escape(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("|", "\\|").replace("\n", " ")


def files(folder: Path) -> list[Path]:
    """All regular files below a folder, by name."""
    return sorted(
        Path(root) / name for root, _, names in os.walk(folder) for name in names
        if (Path(root) / name).is_file()
    )  # fmt: skip


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("media_report"), help="without a suffix")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    found = files(options.folder)
    rows = []
    with Encoder(options.model, limits=_LIMITS) as encoder:
        for number, result in enumerate(encoder.encode_many(map(str, found), isolate=True), start=1):
            rows.append(compare(encoder, result))
            print(f"{number}/{len(found)} {rows[-1]['verdict']}: {_escape(rows[-1]['file'])}", flush=True)
        model = {"name": encoder.spec.name, "fingerprint": encoder.spec.fingerprint}
    document = {"machine": machine(), "model": model, "near": NEAR, "files": rows}
    counts = Counter(row["verdict"] for row in rows)
    document["verdicts"] = dict(counts.most_common())
    options.output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    options.output.with_suffix(".md").write_text(report(rows), encoding="utf-8")
    for name, count in counts.most_common():
        print(f"{count:6d} {name}")


if __name__ == "__main__":
    main()
