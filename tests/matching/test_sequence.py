from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vhash_sdk
from vhash_sdk.codes import hamming_distance
from vhash_sdk.errors import OptionError
from vhash_sdk.matching.sequence import Sequence, centred
from vhash_sdk.spec import ModelSpec, Part, Resize, Sampling

SAMPLES = Path(vhash_sdk.__file__).parent / "samples"
SPEC = ModelSpec(
    "test", 1, "fused", 12, (Part("cnn", (0, 8)), Part("phash", (8, 12))),
    Sampling("uniform", 4), Resize("exact", 8, 8), 1, 3, "0" * 64,
)  # fmt: skip


def sequence(count: int) -> Sequence:
    logits = np.random.default_rng(count).normal(size=(count, 12)).astype(np.float32)
    return Sequence(logits, (np.arange(count) + 0.5) / 2, count / 2, SPEC, np.ones(12, np.float32))


def test_a_span_is_the_mean_of_its_frames_centred_on_the_median_of_phash() -> None:
    video = sequence(20)
    segments = video.pooled([[0.0, 10.0], [2.0, 4.0]])
    for code, rows in zip(segments.codes, (slice(0, 20), slice(4, 8)), strict=True):
        mean = video.logits[rows].mean(0)
        mean[8:] -= np.median(mean[8:])
        assert np.array_equal(np.unpackbits(code, count=12, bitorder="little").astype(bool), mean >= 0)


def test_a_span_without_frames_takes_the_one_before_it() -> None:
    video = sequence(6)
    assert np.array_equal(video.pooled([[1.3, 1.6], [99.0, 100.0]]).codes, video.codes()[[2, 5]])


@pytest.mark.parametrize("spans", [[[1.0, 0.5]], [1.0, 2.0], [[0.0, 1.0, 2.0]]])
def test_spans_that_are_none_are_refused(spans: object) -> None:
    with pytest.raises(OptionError, match="spans"):
        sequence(4).pooled(spans)  # type: ignore[arg-type]


def test_centring_leaves_other_parts_and_the_argument_alone() -> None:
    logits = np.arange(24, dtype=np.float32).reshape(2, 12)
    found = centred(logits, SPEC)
    assert np.array_equal(logits, np.arange(24, dtype=np.float32).reshape(2, 12))
    assert np.array_equal(found[:, :8], logits[:, :8])
    assert np.array_equal(found[:, 8:], [[-1.5, -0.5, 0.5, 1.5]] * 2)


def test_the_frames_of_a_video_give_its_code() -> None:
    encoder_module = pytest.importorskip("vhash_sdk.encoding.encoder")
    pytest.importorskip("onnxruntime")
    files = sorted(SAMPLES.glob("*.mp4"))[:2]
    with encoder_module.Encoder() as encoder:
        for result in encoder.encode_many(files, detail="views"):
            assert result.code is not None and result.sequence is not None
            whole = result.sequence.pooled([[0.0, np.inf]])
            assert hamming_distance(whole.codes[0], result.code.code) <= 1  # order of summation
            assert whole.confidences[0] == pytest.approx(result.code.confidence, abs=1e-3)
        assert next(encoder.encode_many(files)).sequence is None
        dense = encoder.encode_sequence(files[0], rate=4.0)
        assert len(dense) == round(dense.duration * 4)
        near = hamming_distance(dense.pooled([[0.0, np.inf]]).codes[0], encoder.encode(files[0]).code)
        assert near <= 20  # other frames of the same video


def test_a_rate_that_is_not_positive_and_a_model_of_whole_clips_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from tests.tiny_model import save_tiny_model
    from vhash_sdk import Encoder

    with Encoder(save_tiny_model(tmp_path / "tiny.onnx")) as encoder:
        frames = np.zeros((9, 32, 48, 3), np.uint8)
        with pytest.raises(OptionError, match="rate=0"):
            encoder.encode_sequence(frames, rate=0)
        with pytest.raises(OptionError, match="whole clips"):
            encoder.encode_sequence(frames)
        assert next(encoder.encode_many([frames], detail="views")).sequence is None
