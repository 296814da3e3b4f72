from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import vhash_sdk  # noqa: E402
from tests.tiny_model import save_tiny_model  # noqa: E402
from vhash_sdk import Encoder  # noqa: E402
from vhash_sdk.errors import BackendError, ModelError, OptionError, VideoError  # noqa: E402
from vhash_sdk.matching.sequence import segment_spans  # noqa: E402
from vhash_sdk.spec import Resize, Sampling  # noqa: E402


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


def clips(n: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        generator.integers(0, 256, (9, 1, 1, 3), dtype=np.uint8).repeat(24, 1).repeat(32, 2) for _ in range(n)
    ]


def test_a_code_is_what_the_network_says_of_the_sampled_frames(tiny: Path) -> None:
    clip = clips(1)[0]
    with Encoder(tiny) as encoder:
        code = encoder.encode(clip)
        # 5 of 9 frames, floor((j + 0.5) · 9 / 5); a constant frame stays itself when scaled
        frames = clip[[0, 2, 4, 6, 8], :16, :24][None, None]
        codes, logits, embeddings = encoder.encode_frames(frames)
    assert code.bits == 12 and code.fingerprint == encoder.spec.fingerprint
    assert np.array_equal(codes[0], code.code)
    assert np.array_equal(np.packbits(logits[0] >= 0, bitorder="little"), code.code)
    assert np.allclose(embeddings[0], frames.mean((0, 1, 2, 3, 4)), atol=1e-2)
    assert np.isnan(code.duration)  # frames in memory have no rate
    assert code.confidence == pytest.approx(np.tanh(np.abs(logits[0])).mean(), abs=1e-6)


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_encode_many_gives_the_codes_of_encode_in_order(tiny: Path, batch_size: int | None) -> None:
    sources = [*clips(11), "missing.mp4", b"not a video", *clips(3)]
    with Encoder(tiny) as encoder:
        results = list(encoder.encode_many(iter(sources), workers=3, batch_size=batch_size))
        assert [r.index for r in results] == list(range(len(sources)))
        for source, result in zip(sources, results, strict=True):
            if isinstance(source, np.ndarray):
                assert result.error is None and result.code == encoder.encode(source)
            else:
                assert result.code is None and isinstance(result.error, VideoError)
                assert result.source is source


def test_encode_many_reads_an_endless_generator_lazily(tiny: Path) -> None:
    with Encoder(tiny) as encoder:
        results = encoder.encode_many(itertools.cycle(clips(2)), workers=2)
        assert len(list(itertools.islice(results, 20))) == 20
        results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "rule", [Resize("exact", 32, 40, crop=(16, 16)), Resize("short_side", 32, 32, crop=(16, 16))]
)
def test_ten_crops_reach_the_network_as_ten(tmp_path: Path, rule: Resize) -> None:
    path = save_tiny_model(tmp_path / "ten.onnx", crops=10, resize=rule)
    sample = Path(vhash_sdk.__file__).parent / "samples" / "bunny.mp4"
    with Encoder(path) as encoder:
        for source in (clips(1)[0], sample):
            assert encoder.encode(source).bits == 12


def test_middle_sampling_wraps_a_short_clip(tmp_path: Path) -> None:
    path = save_tiny_model(tmp_path / "middle.onnx", sampling=Sampling("middle", 16))
    with Encoder(path) as encoder:
        clip = clips(1)[0]
        wrapped = clip[np.arange(16) % 9, :16, :24][None, None]
        assert np.array_equal(encoder.encode(clip).code, encoder.encode_frames(wrapped).codes[0])


def test_segment_spans_cover_the_video() -> None:
    assert segment_spans(3.0, 5.0, 1.0).tolist() == [[0.0, 3.0]]
    spans = segment_spans(60.0, 10.0, 7.0)
    assert spans[0, 0] == 0 and spans[-1, 1] == 60 and (np.diff(spans[:, 0]) <= 7).all()
    assert np.allclose(spans[:, 1] - spans[:, 0], 10)


def test_segments_of_a_video_that_changes_differ(data: Path) -> None:
    with Encoder() as encoder:
        segments = encoder.encode_segments(data / "videos/misc/bigbuckbunny.mp4", window=2.0, hop=1.0)
        assert len(segments) == len(segments.spans) == len(segments.confidences) >= 3
        assert len(np.unique(segments.codes, axis=0)) > 1
        with pytest.raises(OptionError, match="positive"):
            encoder.encode_segments(data / "videos/misc/bigbuckbunny.mp4", window=0, hop=1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "gpu"}, "device='gpu'"),
        ({"backend": "torch"}, "backend='torch'"),
        ({"precision": "int4"}, "precision='int4'"),
        ({"threads": 0}, "threads=0"),
        ({"precision": "int8"}, "computes in fp32"),
        ({"precision": "fp16"}, "for GPUs"),
        ({"backend": "openvino", "device": "cuda:0"}, "on a CPU"),
        ({"backend": "tensorrt", "device": "cpu"}, "on NVIDIA GPUs"),
    ],
)
def test_options_outside_the_allowed_set_are_named(tiny: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Encoder(tiny, **options)  # type: ignore[arg-type]


def test_a_closed_encoder_says_so(tiny: Path) -> None:
    with Encoder(tiny) as encoder:
        pass
    encoder.close()
    with pytest.raises(BackendError, match="closed"):
        encoder.encode(clips(1)[0])
    with pytest.raises(BackendError, match="closed"):  # it started a session of its own
        list(encoder.encode_many(clips(1)))


def test_many_sources_are_not_one_path(tiny: Path) -> None:
    with Encoder(tiny) as encoder, pytest.raises(OptionError, match=r"a\.mp4"):
        encoder.encode_many("a.mp4")


def test_an_explicit_device_never_falls_back(tiny: Path) -> None:
    from vhash_sdk.gpu.probe import cuda_devices

    if cuda_devices():
        pytest.skip("there is a GPU here")
    with pytest.raises(BackendError, match="cuda:0"):
        Encoder(tiny, device="cuda:0")


def test_frames_of_another_shape_are_refused(tiny: Path) -> None:
    with Encoder(tiny) as encoder:
        for frames in (np.zeros((1, 1, 5, 16, 23, 3), np.uint8), np.zeros((1, 1, 5, 16, 24, 3), np.float32)):
            with pytest.raises(OptionError, match="takes uint8"):
                encoder.encode_frames(frames)


def test_a_graph_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    from tests.tiny_model import tiny_model, tiny_spec

    model = tiny_model(tiny_spec())
    model.graph.output[0].name = model.graph.node[-1].output[0] = "hash"
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"other\.onnx"):
        Encoder(tmp_path / "other.onnx")
    broken = tiny_model(tiny_spec())
    broken.graph.node[2].op_type = "NoSuchOperator"
    (tmp_path / "broken.onnx").write_bytes(broken.SerializeToString())
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        Encoder(tmp_path / "broken.onnx")
