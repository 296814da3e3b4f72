"""What ``docs/accuracy.md`` shows of parts that videos share, and of frames."""

from __future__ import annotations

from typing import Any

from benchmarks.common import RESULTS, load, made_on, source, table


def parts() -> str:
    """The gallery of real clips, the methods of other tools beside it, and the join of many segments."""
    if not (RESULTS / "parts.json").exists():
        return "Not measured yet: `python -m benchmarks.near_duplicates.parts`."
    result = load("parts")
    real, peers = result["real"], result["peers"]
    windows, votes = peers["windows"], peers["votes"]
    rows = [
        (
            kind,
            every["planted"],
            _share(every),
            _share(votes["by_kind"][kind]),
            _share(windows["by_kind"][kind]),
        )
        for kind, every in real["by_kind"].items()
    ]
    rows.insert(0, ("all that were cut", real["planted"], *map(_share, (real, votes, windows))))
    rows.append(
        (
            "wrong",
            "",
            f"{real['wrong_spans']} of {real['spans']:,} spans, "
            f"{real['wrong_places']} of {real['places']:,} places of common parts",
            f"{votes['wrong_spans']} of {votes['spans']:,} spans",
            f"{windows['wrong_pairs']} of {windows['pairs']:,} pairs of videos",
        )
    )
    header = ("shared for 5 s or more", "parts", "found", "votes of frame hashes", "windows, videos only")
    near = real["have_near_windows"]
    text = (
        table(header, rows)
        + f"\n\n{real['videos']} videos of {real['hours']:.1f} hours, cut from half an hour "
        f"of clips: “again” are those that came again, each about {real['rounds_of_clips']} times. Comparing all "
        f"with all took {real['cpu_seconds_per_hour']:.0f} CPU seconds for an hour of video, most of them to align "
        f"what so many share, once more {real['seconds_again']:.0f} s in all; at most {real['megabytes']} MB of "
        f"memory. Three windows or more, enough to align them, {near['each_with_each']} of the parts have near "
        f"each other where each is compared with each, {near['by_sorting']} by the sorting of large libraries. "
        "“Votes” and “windows” are the methods that VideoDuplicateFinder and Czkawka describe for clips in "
        "videos, in our own code (`benchmarks/near_duplicates/parts_peers.py`), for neither could be built: a "
        "hash for a frame each second, and five windows of a video, which names no times, so that naming the two "
        f"videos counts. `{real['command']}`, {made_on(result['machine'])}."
    )
    joins = [one for name, one in result.items() if name.startswith(("synthetic_", "structured_"))]
    return text + "\n\n" + table(
        (
            "join of", "of videos", "s", "CPU s", "again, s", "s to align", "MB at most", "planted parts found",
            "of those 40 of 256 bits apart",
        ),
        [_join(one) for one in joins],
    )  # fmt: skip


def _share(one: dict[str, Any]) -> str:
    return f"{one['found'] / max(1, one['planted']):.3f}"


def _join(one: dict[str, Any]) -> tuple[object, ...]:
    far = one["by_distance"]["40"]
    return (
        f"{one['segments']:,} {'segments made of real ones' if '--like' in one['command'] else 'random segments'}",
        f"{one['videos']:,}",
        f"{one['seconds_to_join']:.0f}",
        f"{one['cpu_seconds_to_join']:.0f}",
        f"{one['seconds_to_join_again']:.0f}",
        f"{one['seconds_to_align']:.0f}",
        f"{one['megabytes_at_the_end']:,}",
        f"{one['aligned']} of {one['planted']}",
        f"{far['aligned']} of {far['planted']}",
    )


def frames() -> str:
    """From a frame to its video and the second."""
    if not (RESULTS / "frame_in_video.json").exists():
        return "Not measured yet: `python -m benchmarks.near_duplicates.frame_in_video`."
    result = load("frame_in_video")
    rows = [
        (
            name,
            edit,
            one["queries"],
            f"{one['video_first'] / one['queries']:.3f}",
            f"{one['scene_first'] / one['queries']:.3f}",
            f"{one['seconds_off']['median']:.2f} / {one['seconds_off']['p95']:.2f}",
            f"{one['nearest_stranger_bits']['least']} / {one['nearest_stranger_bits']['median']:.0f}",
        )
        for name, model in result["models"].items()
        for edit, one in model["edits"].items()
    ]
    some = next(iter(result["models"].values()))
    return (
        table(
            (
                "model",
                "the frame",
                "frames",
                "its video first",
                "its scene first",
                "s off, median / p95",
                "nearest stranger, bits, least / median",
            ),
            rows,
        )
        + f"\n\nThe segments of {some['clips']} clips of {some['scenes']} scenes; many clips are takes of one "
        f"scene, which a frame cannot tell apart. {source('frame_in_video')}"
    )
