"""Our codes as a signal type of the real ``threatexchange``: its classes, and its command."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("threatexchange", reason="needs the extra threatexchange")
pytest.importorskip("onnxruntime")

from threatexchange.content_type.video import VideoContent
from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
from threatexchange.interface_validation import SignalTypeMapping

from vhash_sdk import Encoder, Library, VideoCode
from vhash_sdk.exchange import written
from vhash_sdk.exchange.extension import VHashIndex, VHashSignal
from vhash_sdk.exchange.signals import radius_of
from vhash_sdk.models import zoo

SAMPLES = Path(zoo.__file__).parents[1] / "samples"
NAME = "vhash_sdk.exchange.extension"


def far(text: str, bits: int) -> str:
    """The code so many bits away."""
    code = VideoCode.from_text(text)
    flipped = np.unpackbits(code.code)
    flipped[:bits] ^= 1
    return VideoCode(np.packbits(flipped), code.bits, code.fingerprint).text


def write_black(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(50):
            picture = np.zeros((48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_the_manifest_is_what_threatexchange_loads() -> None:
    manifest = ThreatExchangeExtensionManifest.load_from_module_name(NAME)
    assert manifest.signal_types == (VHashSignal,)
    mapping = SignalTypeMapping([VideoContent], list(manifest.signal_types))
    assert mapping.signal_type_by_name == {"vhash": VHashSignal}
    assert mapping.get_supported_signal_types_for_content(VideoContent) == [VHashSignal]


def test_codes_are_validated_and_compared_within_the_radius_of_their_model() -> None:
    examples = VHashSignal.get_examples()
    for text in (*examples, *(VHashSignal.get_random_signal() for _ in range(5))):
        assert VHashSignal.validate_signal_str(f" {text}\n") == text
        assert VHashSignal.compare_hash(text, text).match
    one = examples[0]
    code = VideoCode.from_text(one)
    with Encoder() as encoder:
        radius = radius_of(code.fingerprint, code.bits)
        assert radius == encoder.threshold(max(1e-4, encoder.calibration.smallest_rate))  # type: ignore[union-attr]
    for bits, same in ((0, True), (radius, True), (radius + 1, False)):
        result = VHashSignal.compare_hash(one, far(one, bits))
        assert (result.match, result.distance.distance) == (same, bits)  # type: ignore[attr-defined]
    assert VHashSignal.compare_hash(one, far(one, 9), radius=9).match
    assert not VHashSignal.compare_hash(one, far(one, 9), radius=8).match
    small = zoo.load("small").spec
    other = f"vh1:{small.fingerprint[:8]}:64:{'0f' * 8}"
    assert not VHashSignal.compare_hash(one, other).match
    assert not VHashSignal.compare_hash(examples[0], examples[1]).match


@pytest.mark.parametrize("bad", ["", " ", "vh1", "vh1:zz:256:00", "vh1:01234567:16:ffff", "f8" * 32])
def test_what_is_no_code_of_a_model_here_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="expected vh1|hex digits|no calibrated model here"):
        VHashSignal.validate_signal_str(bad)
    with pytest.raises(ValueError):
        VHashIndex[str]().add(bad, "x")


def test_the_index_finds_what_comparing_finds_and_survives_being_written() -> None:
    rng = np.random.default_rng(3)
    centres = [VHashSignal.get_random_signal() for _ in range(5)]
    small = zoo.load("small").spec
    signals = [far(centres[rng.integers(5)], int(rng.integers(0, 90))) for _ in range(200)]
    signals += [f"vh1:{small.fingerprint[:8]}:64:{rng.bytes(8).hex()}" for _ in range(50)]
    signals += signals[:3]  # a code that is there twice keeps what is said of both
    index = VHashIndex.build([(text, {"number": i}) for i, text in enumerate(signals)])
    stream = io.BytesIO()
    index.serialize(stream)
    stream.seek(0)
    again = VHashIndex.deserialize(stream)
    again.add(signals[0], {"number": len(signals)})
    assert len(again) == len(index) + 1 == len(signals) + 1
    for query in (*signals, *centres):
        results = {i: VHashSignal.compare_hash(query, text) for i, text in enumerate(signals)}
        expected = {i: result.distance for i, result in results.items() if result.match}
        found = index.query(query)
        assert {m.metadata["number"]: m.similarity_info for m in found} == expected
        assert [m.similarity_info.distance for m in found] == sorted(  # type: ignore[attr-defined]
            m.similarity_info.distance
            for m in found  # type: ignore[attr-defined]
        )
    assert {m.metadata["number"] for m in again.query(signals[0])} >= {0, len(signals)}
    assert index.query("") == [] and VHashIndex[int]().query(signals[0]) == []


def test_a_bad_signal_of_an_exchange_does_not_blind_the_matcher(caplog: pytest.LogCaptureFixture) -> None:
    good = VHashSignal.get_examples()[0]
    with caplog.at_level(logging.WARNING, "vhash_sdk"):
        index = VHashIndex.build([("junk\x1b[2J", 0), (good, 1), ("vh1:01234567:16:ffff", 2)])
    assert [m.metadata for m in index.query(good)] == [1]
    assert len(caplog.records) == 2 and "\x1b" not in caplog.text


def test_videos_have_codes_and_what_is_none_has_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = SAMPLES / "chair.mp4"
    with Encoder() as encoder:
        assert VHashSignal.hash_from_file(clip) == encoder.encode(clip).text
    black, broken = tmp_path / "black.mp4", tmp_path / "broken.mp4"
    write_black(black)
    broken.write_bytes(clip.read_bytes()[:5000])
    for path in (black, broken, tmp_path / "none.mp4"):
        caplog.clear()
        assert VHashSignal.hash_from_file(path) == ""
        assert path.name in caplog.text


def test_its_command_matches_videos_by_an_export_of_a_library(tmp_path: Path) -> None:
    codes, home = tmp_path / "codes.txt", {**os.environ, "HOME": str(tmp_path)}
    with Library(tmp_path / "lib") as library:
        library.add([SAMPLES / "chair.mp4", SAMPLES / "legs.mp4"])
        codes.write_text("\n".join([*written(library, "lines"), "vhash nonsense", ""]))

    def tx(*words: str) -> str:
        command = [sys.executable, "-m", "threatexchange.cli.main", *words]
        done = subprocess.run(command, env=home, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "vhash - VHashSignal" in tx("config", "extensions", "add", NAME)
    tx("config", "collab", "edit", "local_file", "--create", "mine", "--filename", str(codes))
    tx("fetch")
    assert tx("dataset") == "vhash: 2\n"  # what does not validate is left out
    said = tx("match", "video", str(SAMPLES / "chair.mp4"))
    assert said.startswith("vhash 0 (mine)"), said
    assert tx("match", "video", str(SAMPLES / "bunny.mp4")) == ""
