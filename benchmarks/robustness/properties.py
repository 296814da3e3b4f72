"""Every property that a video may have: is what is coded what a person sees?

    python -m benchmarks.robustness.properties

Makes a file for each, and measures how far its code is from the code of the pictures that a person
sees, and from that of what FFmpeg's own program shows (``judge``). Writes
benchmarks/results/media_properties.json, of which `benchmarks.docs.tables` makes the table in docs/media.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import command_line, table, write_result
from benchmarks.robustness.judge import shown
from benchmarks.robustness.making import (
    Property,
    Track,
    beside,
    clean_aperture,
    clip,
    edited,
    high_range,
    joined,
    over_black,
    plain,
    turned,
    uneven,
)
from vhash_sdk import Encoder
from vhash_sdk.errors import VideoError

NEAR = 20
_HDR = "no tone map in the frames rule of models made before it had one"
_X265 = (("x265-params", "log-level=error:keyint=12"),)
_AV1 = (("g", "12"), ("preset", "12"), ("svtav1-params", "lp=1"))


def properties() -> list[Property]:
    """All rows of the table."""
    return [*_containers(), *_codecs(), *_pixels(), *_colours(), *_shapes(), *_times(), *_streams()]


def _containers() -> Iterator[Property]:
    for suffix in ("mp4", "mov", "mkv", "avi", "ts", "flv", "nut", "3gp", "mxf"):
        codec = "mpeg2video" if suffix == "mxf" else "libx264"
        yield Property("container", suffix.upper(), suffix, plain(codec))
    yield Property(
        "container", "MP4, fragmented", "mp4", plain(muxer={"movflags": "frag_keyframe+empty_moov"})
    )
    yield Property("container", "MKV without index", "mkv", plain(muxer={"live": "1"}))
    yield Property("container", "MPEG program stream", "mpg", plain("mpeg2video"))
    yield Property(
        "container",
        "WebM",
        "webm",
        plain("libvpx-vp9", options=(("deadline", "realtime"), ("cpu-used", "8"))),
    )
    yield Property("container", "Ogg", "ogv", plain("libvpx", format="ogg"))
    yield Property("container", "WMV (ASF)", "wmv", plain("wmv2"))
    yield Property("container", "Y4M", "y4m", plain("wrapped_avframe", format="yuv4mpegpipe", options=()))
    yield Property(
        "container", "IVF", "ivf", plain("libvpx-vp9", options=(("deadline", "realtime"), ("cpu-used", "8")))
    )
    yield Property("container", "GIF", "gif", plain("gif", "rgb8", options=()), "256 colours are shown")
    yield Property("container", "bare H.264", "h264", plain(format="h264"))
    yield Property("container", "bare H.265", "h265", plain("libx265", format="hevc", options=_X265))
    yield Property("container", "bare AV1", "obu", plain("libsvtav1", format="obu", options=_AV1))
    yield Property("container", "bare MPEG-2", "m2v", plain("mpeg2video", format="mpeg2video"))
    yield Property("container", "RealMedia", "rm", plain("rv20", frames=clip("bunny", 352, 288), options=()))
    yield Property("container", "DV", "dv", plain("dvvideo", frames=clip("bunny", 720, 576), options=()))
    yield Property("animation", "AVIF", "avif", plain("libsvtav1", format="avif", options=_AV1))
    yield Property("animation", "APNG", "png", plain("apng", "rgb24", format="apng", options=()))
    webp = plain("libwebp_anim", "bgra", format="webp", options=())
    yield Property("animation", "WebP", "webp", webp)


def _codecs() -> Iterator[Property]:
    for name, codec, options in (
        ("H.265", "libx265", _X265), ("AV1", "libsvtav1", _AV1), ("MPEG-4", "mpeg4", (("g", "12"),)),
        ("MPEG-1", "mpeg1video", (("g", "12"),)), ("VP8", "libvpx", (("g", "12"),)), ("FFV1", "ffv1", ()),
    ):  # fmt: skip
        yield Property("codec", name, "mkv", plain(codec, options=options))
    yield Property("codec", "MJPEG", "avi", plain("mjpeg", "yuvj420p", options=()))
    yield Property("codec", "ProRes", "mov", plain("prores", "yuv422p10le", options=()))
    yield Property("codec", "DNxHR", "mov", plain("dnxhd", "yuv422p", options=(("profile", "dnxhr_sq"),)))
    yield Property("codec", "PNG", "mov", plain("png", "rgb24", options=()))


def _pixels() -> Iterator[Property]:
    for name in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "nv12"):
        yield Property("pixel format", name, "mp4", _grey if name == "gray" else plain(pixels=name))
    yield Property("pixel format", "gbrp", "avi", plain("utvideo", "gbrp", options=()))
    for name in ("bgr0", "yuv411p", "yuv410p", "rgb48le"):
        yield Property("pixel format", name, "mkv", plain("ffv1", name, options=()))


def _grey(path: Path) -> Any:
    frames = np.repeat(clip().mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    return plain(pixels="gray", frames=frames)(path)


def _colours() -> Iterator[Property]:
    full = (("dst_color_range", 2),)
    yield Property("range", "full", "mp4", plain(convert=full, tags=(("color_range", 2),)))
    yield Property("range", "full, by its pixel format", "mkv", plain("mjpeg", "yuvj420p", options=()))
    for name, number in (("BT.601", 5), ("BT.709", 1), ("BT.2020", 9)):
        convert, tags = (("dst_colorspace", number),), (("colorspace", number), ("color_range", 1))
        yield Property("matrix", name, "mp4", plain(convert=convert, tags=tags))
    large = clip("bunny", 1280, 720)
    yield Property(
        "matrix", "not stated, 720 lines", "mp4", plain(frames=large, convert=(("dst_colorspace", 1),))
    )
    for curve in ("PQ", "HLG"):
        yield Property("transfer", f"{curve}, BT.2020", "mp4", high_range(curve), _HDR)


def _shapes() -> Iterator[Property]:
    for mirrored in (False, True):
        for degrees in (0, 90, 180, 270):
            if degrees or mirrored:
                name = f"{degrees}°" + ", mirrored" * mirrored
                yield Property("orientation", name, "mp4", turned(degrees, mirrored))
    yield Property("orientation", "90°, in MKV", "mkv", turned(90, False))
    yield Property("orientation", "90°, mirrored, in MKV", "mkv", turned(90, True))
    yield Property(
        "crop", "of the codec (odd sides)", "mp4", plain("libx264", "yuv444p", frames=clip("bunny", 319, 179))
    )
    crop = "the crop of a container counts for models whose frames rule has it"
    yield Property("crop", "of the container (clap)", "mp4", clean_aperture, crop)
    alpha = "alpha over black is for models whose frames rule has it"
    for name, codec, pixels in (
        ("ProRes 4444", "prores_ks", "yuva444p10le"),
        ("QuickTime RLE", "qtrle", "argb"),
        ("PNG", "png", "rgba"),
    ):
        yield Property("alpha", name, "mov", over_black(codec, pixels), alpha)
    yield Property(
        "interlace", "H.264", "mp4", plain(interlaced=True, options=(("x264-params", "tff=1:keyint=12"),))
    )
    yield Property("interlace", "MPEG-2", "ts", plain("mpeg2video", interlaced=True))


def _times() -> Iterator[Property]:
    yield Property("variable rate", "1 to 30 frames each", "mp4", uneven)
    yield Property("variable rate", "1 to 30 frames each, MKV", "mkv", uneven)
    yield Property("edit list", "the first 20 of 50 hidden", "mp4", edited)
    yield Property("start", "20 s late", "mkv", plain(times=tuple(range(500, 550))))
    for suffix, codec in (("ts", "libx264"), ("flv", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg2video")):
        yield Property("discontinuity", f"two {suffix.upper()} files appended", suffix, joined(suffix, codec))
    yield Property("discontinuity", "two Ogg files chained", "ogv", joined("ogv", "libvpx", format="ogg"))
    yield Property("discontinuity", "a gap of an hour", "ts", joined("ts", "libx264", gap=3600))


def _streams() -> Iterator[Property]:
    other = clip("chair")
    small = clip("chair", 160, 90)
    large = clip("chair", 1280, 720)
    for suffix in ("mov", "mkv"):
        cover = Track(other[:1], "mjpeg", "yuvj420p", options=())
        yield Property("several streams", f"an unmarked cover first, {suffix.upper()}", suffix, beside(cover))
        yield Property(
            "several streams", f"a small one first, not default, {suffix.upper()}", suffix,
            beside(Track(small, default=False), default=True),
        )  # fmt: skip
    yield Property(
        "several streams",
        "two large pictures first (motion photo)",
        "mp4",
        beside(Track(large[:2]), default=True),
    )
    yield Property("several streams", "a short one first", "ts", beside(Track(other[:20])))


def measure(property: Property, encoder: Encoder, folder: Path, *, judge: bool = True) -> dict[str, Any]:
    """One row: bits from the pictures that were drawn, and from those that FFmpeg shows; None: no code."""
    path = folder / f"file.{property.suffix}"
    row: dict[str, Any] = {"property": property.kind, "value": property.value, "policy": property.policy}
    try:
        drawn = property.make(path)
    except (ValueError, OSError, RuntimeError, LookupError) as error:  # this PyAV has no such encoder
        return {**row, "not_made": f"{type(error).__name__}: {error}"}
    (result,) = encoder.encode_many([path])
    row["bits"] = row["ffmpeg_bits"] = None
    if result.code is None or result.info is None:
        assert isinstance(result.error, VideoError)
        return {**row, "error": str(result.error).replace(str(path), "FILE")}
    row["bits"] = int(result.code - encoder.encode(drawn))
    if judge and (seen := shown(path, encoder.spec, result.info.stream)).frames is not None:
        row["ffmpeg_bits"] = int(result.code - encoder.encode(seen.frames))
    return row


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of docs/media.md."""
    lines = []
    for row in rows:
        if "not_made" in row:
            continue
        bits = "no code" if row["bits"] is None else row["bits"]
        theirs = "–" if row["ffmpeg_bits"] is None else row["ffmpeg_bits"]
        remark = row["policy"] if row["bits"] is None or row["bits"] > NEAR else ""
        lines.append((row["property"], row["value"], bits, theirs, remark))
    return table(("property", "value", "bits", "bits from FFmpeg", "why"), lines)


def main() -> None:
    command_line(__doc__).parse_args()
    rows = []
    with Encoder() as encoder:
        for property in properties():
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(property, encoder, Path(folder)))
            print(rows[-1], flush=True)
    command = "python -m benchmarks.robustness.properties"
    print(write_result("media_properties", {"command": command, "near": NEAR, "rows": rows}))


if __name__ == "__main__":
    main()
