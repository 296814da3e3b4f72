"""Make the sample clips of ``vhash demo`` from their originals (see NOTICE).

    python -m benchmarks.docs.make_samples ../shared/data/videos

Cuts five short scenes out of two videos that may be copied: Big Buck Bunny (CC BY, Blender Foundation)
and the chair of ThreatExchange's TMK samples (BSD, Facebook).
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import ROOT, command_line
from vhash_sdk.cli.variants import Filter, transcode

TARGET = ROOT / "sdk" / "vhash_sdk" / "samples"
BUNNY = ("misc/bigbuckbunny.mp4", "(c) 2008 Blender Foundation, www.bigbuckbunny.org, CC BY 3.0")
CHAIR = ("neardup/chair-orig-22-sd-bar.mp4", "(c) 2014-present, Facebook, Inc., ThreatExchange, BSD License")
NO_BARS: Filter = ("crop", "416:720:32:0")
WIDE: Filter = ("scale", "480:270:flags=area")
TALL: Filter = ("scale", "240:416:flags=area")
# name, original, filters, seconds
SCENES = (
    ("bunny", BUNNY, (WIDE,), (0.0, 5.3)),
    ("chair", CHAIR, (NO_BARS, TALL), (0.0, 3.4)),
    ("backrest", CHAIR, (NO_BARS, TALL), (4.6, 7.8)),
    ("glass", CHAIR, (NO_BARS, TALL), (9.5, 12.0)),
    ("legs", CHAIR, (NO_BARS, TALL), (13.0, 16.5)),
)


def main() -> None:
    import av

    parser = command_line(__doc__)
    parser.add_argument("videos", type=Path, help="the folder with the originals")
    options = parser.parse_args()
    videos: Path = options.videos
    TARGET.mkdir(exist_ok=True)
    for name, (original, copyright_), filters, seconds in SCENES:
        source, target = videos / original, TARGET / f"{name}.mp4"
        with av.open(str(source)) as reader:
            length = reader.duration / 1e6
        span = (seconds[0] / length, min(seconds[1] / length, 1.0))
        transcode(source, target, filters=filters, crf=24, span=span, tags={"copyright": copyright_})
        print(f"{target.name}: {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
