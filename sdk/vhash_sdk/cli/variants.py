"""Modified copies of a video, as they circulate: what ``vhash demo`` has to see through.

Decoded, filtered (FFmpeg's filters) and encoded in software by PyAV.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..video.outputs import DEMO_MARK

Filter = tuple[str, str]
"""Name and arguments of an FFmpeg filter."""


@dataclass(frozen=True)
class Variant:
    """A recipe for a modified copy.

    Attributes:
        name: short, as the tables show it.
        filters: FFmpeg filters, in order.
        crf: rate factor of the encoder: 23 is usual, 36 is poor.
        span: what is kept, as fractions of the length.
    """

    name: str
    filters: tuple[Filter, ...] = ()
    crf: int = 23
    span: tuple[float, float] = (0.0, 1.0)

    def write(self, source: Path, target: Path) -> None:
        """Write the modified copy of the video ``source`` to ``target``, an MP4 file."""
        transcode(
            source,
            target,
            filters=self.filters,
            crf=self.crf,
            span=self.span,
            preset="ultrafast",
            tags={"comment": DEMO_MARK},
        )


VARIANTS = (
    Variant("low quality", crf=36),
    Variant("half size", (("scale", "trunc(iw/4)*2:trunc(ih/4)*2"),)),
    Variant("letterbox", (("pad", "max(iw,trunc(ih*3/8)*2):max(ih,trunc(iw*3/8)*2):-1:-1"),)),
    Variant("cropped", (("crop", "trunc(iw*0.45)*2:trunc(ih*0.45)*2"),)),
    Variant("grey", (("hue", "s=0"),)),
    Variant("brighter", (("lutyuv", "y=clip(val*1.2+8\\,minval\\,maxval)"),)),
    Variant(
        "logo",
        (
            ("drawbox", "iw*0.74:ih*0.04:iw*0.22:ih*0.2:red:fill"),
            ("drawbox", "0:ih*0.88:iw:ih*0.12:black:fill"),
        ),
    ),
    Variant("trimmed", span=(0.15, 0.85)),
)


def transcode(
    source: Path,
    target: Path,
    *,
    filters: tuple[Filter, ...] = (),
    crf: int = 23,
    span: tuple[float, float] = (0.0, 1.0),
    preset: str = "veryfast",
    tags: dict[str, str] | None = None,
) -> None:
    """Decode, filter and encode the picture of a video of constant rate (the sound is left out).

    Writes H.264 with a ``preset`` of libx264, or MPEG-4 where this FFmpeg does not have it. ``tags`` go
    into the container.
    """
    import av

    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        writer.metadata.update(tags or {})
        stream = reader.streams.video[0]
        rate = stream.average_rate or 25
        start, stop = (round(part * float(reader.duration or 0) / 1e6 * rate) for part in span)
        frames = itertools.islice(reader.decode(stream), start, stop)
        options = {"crf": str(crf), "preset": preset}
        encoder: Any = None
        for number, frame in enumerate(_filtered(frames, filters, stream)):
            if encoder is None:
                encoder = _add_encoder(writer, frame, rate, options)
            frame.pts, frame.time_base = number, 1 / rate
            writer.mux(encoder.encode(frame))
        if encoder is not None:
            writer.mux(encoder.encode(None))


def _filtered(frames: Iterator[Any], filters: tuple[Filter, ...], stream: Any) -> Iterator[Any]:
    import av.filter

    graph = av.filter.Graph()
    nodes = [graph.add(name, arguments) for name, arguments in (*filters, ("format", "yuv420p"))]
    graph.link_nodes(graph.add_buffer(template=stream), *nodes, graph.add("buffersink")).configure()
    for frame in frames:
        graph.vpush(frame)
        picture = graph.vpull()  # none of our filters holds a frame back
        picture.pict_type = 0  # the source's types would be forced upon the encoder
        yield picture


def _add_encoder(writer: Any, frame: Any, rate: Any, options: dict[str, str]) -> Any:
    import av

    h264 = "libx264" in av.codecs_available
    stream = writer.add_stream("libx264" if h264 else "mpeg4", rate=rate)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
    if h264:
        stream.options = options
    else:  # no rate factor: bits a pixel that look about alike
        bits_per_pixel = 0.1 * 2 ** ((23 - int(options["crf"])) / 6)
        stream.bit_rate = int(frame.width * frame.height * float(rate) * bits_per_pixel)
    return stream
