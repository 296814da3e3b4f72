"""From the paths of a command line to codes, and their form in JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..video.isolation import ISOLATES
from .output import Output, Precision, error_entry, number, path_entry, printable, safe

if TYPE_CHECKING:
    from ..codes import VideoCode
    from ..encoding.encoded import Detail, Encoded
    from ..encoding.encoder import Encoder
    from ..video import VideoInfo


def open_encoder(model: str, precision: Precision = "auto", *, stills: bool = False) -> Encoder:
    """An encoder for the options of a command line; use it as a context manager.

    Args:
        model, precision: the options.
        stills: take pictures too.
    """
    from ..encoding.encoder import Encoder
    from ..video import Limits

    return Encoder(model, precision=precision, limits=Limits(stills=stills))


def encode_all(
    encoder: Encoder,
    paths: Sequence[str],
    out: Output,
    *,
    isolate: bool = ISOLATES,
    detail: Detail = "code",
    stream: int | None = None,
    show: Callable[[Encoded], None] | None = None,
) -> list[Encoded]:
    """Encode all, in order, with a progress bar; failures are reported as they come.

    Args:
        encoder: what to encode with.
        paths: the videos.
        out: where failures and progress go.
        isolate: decode in processes of their own, so that no file can take the command down.
        detail: how much to tell of each, as for ``Encoder.encode_many``.
        stream: which video stream of each; None: by the rule.
        show: called with each result at once.
    """
    results = []
    with out.progress("encoding", len(paths)) as step:
        for result in encoder.encode_many(paths, isolate=isolate, detail=detail, stream=stream):
            if result.error is not None:
                out.problem(result.error)
            info = result.info
            for note in () if info is None else (*filter(None, [info.damaged]), *info.notes()):
                out.note(f"vhash: {printable(os.fsdecode(result.source))}: {note}")
            if show is not None:
                show(result)
            results.append(result)
            step()
    return results


def model_entry(encoder: Encoder) -> dict[str, Any]:
    """The model that made the codes, for JSON."""
    info = encoder.info()
    keys = ("version", "fingerprint", "bits", "precision", "backend", "device")
    entry = {key: info[key] for key in keys}
    return {"name": encoder.spec.name, **entry}


def code_entry(path: str, code: VideoCode, info: VideoInfo | None = None) -> dict[str, Any]:
    """A video and its code, for JSON; with ``info`` also what is to be said about how it was read."""
    notes: dict[str, Any] = {} if info is None else {"notes": list(info.notes())}
    if info is not None and info.damaged:
        notes["damaged"] = safe(info.damaged)
    return {
        **path_entry(path),
        "code": code.text,
        "confidence": number(code.confidence),
        "duration": number(code.duration),
        **notes,
    }


def failure_entry(result: Encoded) -> dict[str, Any]:
    """A video that failed and why, for JSON."""
    assert result.error is not None
    return {**path_entry(result.source), "error": error_entry(result.error)}
