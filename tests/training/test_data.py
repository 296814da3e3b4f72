"""Feature readers, splits, the feature store and the baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from training import baselines
from training.data import load_hdf5, load_store, load_ucf101_14c, relevance, synthetic, train_database_queries
from training.frame_features import FeatureStore, extract, video_names


def test_tuning_never_sees_the_test_split() -> None:
    data = synthetic()
    database, queries = train_database_queries(data, validation=True)
    assert set(database.split) | set(queries.split) == {"train"}
    assert not set(database.groups) & set(queries.groups)
    database, queries = train_database_queries(data, validation=False)
    assert set(database.split) == {"train"} and set(queries.split) == {"test"}
    assert 0.05 < relevance(queries, database).mean() < 0.2


def test_ucf101_reader_unpacks_four_bit_values(tmp_path: Path) -> None:
    packed = np.zeros((2, 25, 2), np.uint8)
    packed[1, 0] = [0xF3, 0x05]
    np.savez(tmp_path / "vgg16_relu_25x4096_u4sqrt.npz", packed=packed, scale=np.float32([1, 10]))
    (tmp_path / "index.csv").write_text(
        "row,video_id,ucf101_name,label,group,split01\n0,v0,a,Archery,3,test\n1,v1,b,Biking,9,train\n"
    )
    data = load_ucf101_14c(tmp_path)
    np.testing.assert_allclose(data.features[1, 0], np.array([15, 3, 0, 5]) ** 2 / 225 * 10, rtol=1e-3)
    assert data.number.tolist() == [3, 9] and list(data.split) == ["test", "train"]


@pytest.mark.long
def test_the_real_features_have_the_published_quality(data: Path) -> None:
    """mAP 0.691 and top-1 0.884: what the data says of itself, for the centred mean-pooled cosine."""
    from training.metrics import average_precision, cosine_distance

    database, queries = train_database_queries(
        load_ucf101_14c(data / "features" / "ucf101_14c_vgg16"), validation=False
    )
    assert (len(database), len(queries)) == (1341, 524)
    centre = database.mean_pooled().mean(axis=0)
    distances = cosine_distance(queries.mean_pooled() - centre, database.mean_pooled() - centre)
    ap = np.nanmean(average_precision(distances, relevance(queries, database), (1, None)), axis=0)
    np.testing.assert_allclose(ap, [0.884, 0.691], atol=0.001)


def test_hdf5_layout_of_the_public_sets(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    for name, n in (("train", 5), ("test", 4)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["feats"] = rng.random((n, 25, 6)).astype(np.float32)
    labels = np.eye(3)[[0, 1, 2, 1]]
    savemat(tmp_path / "labels.mat", {"re_label": labels})
    data = load_hdf5(tmp_path / "train.h5", tmp_path / "test.h5", tmp_path / "labels.mat")
    assert data.features.shape == (9, 25, 6) and (data.labels[5:] == labels).all()
    assert (data.split == "test").sum() == 4
    savemat(tmp_path / "labels.mat", {"other": labels})
    with pytest.raises(ValueError, match="expected a matrix labels"):
        load_hdf5(tmp_path / "train.h5", tmp_path / "test.h5", tmp_path / "labels.mat")


def test_store_resumes_and_isolates_a_bad_file(tmp_path: Path) -> None:
    """Real video files through the real decoder; one of them is not a video."""
    from vhash_sdk.spec import Resize, Sampling

    for name, shade in (("a", 40), ("b", 200)):
        _write_clip(tmp_path / f"{name}.mp4", shade)
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 100)
    root, names = video_names(tmp_path)
    calls: list[int] = []

    def backbone(frames: np.ndarray) -> np.ndarray:
        calls.append(1)
        return (
            frames.reshape(len(frames), -1).mean(axis=1, keepdims=True).repeat(4, axis=1).astype(np.float32)
        )

    settings = {"backbone": "mean", "size": 32}
    for _ in range(2):
        store = FeatureStore.create(tmp_path / "store", names, frames=5, width=4, settings=settings)
        extract(store, root, backbone, sampling=Sampling("uniform", 5), resize=Resize("exact", 32, 32))
    assert len(calls) == 2  # the second run had only the broken file to try again
    assert sorted(store.errors) == ["broken.mp4"] and len(store.done) == 2
    again = FeatureStore.open(tmp_path / "store")
    assert abs(float(again.features[names.index("a.mp4")].mean()) - 40) < 8
    with pytest.raises(ValueError, match="other videos or settings"):
        FeatureStore.create(tmp_path / "store", names[:1], frames=5, width=4, settings=settings)
    (tmp_path / "manifest.csv").write_text(
        "path,label,group,split\na.mp4,x,g1,train\nb.mp4,y,g2,test\nbroken.mp4,y,g3,test\n"
    )
    data = load_store(tmp_path / "store", tmp_path / "manifest.csv")
    assert data.ids == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(("kind", "count"), [("vgg16", 134_260_544), ("resnet50", 23_508_032)])
def test_backbones_have_torchvisions_size_and_check_the_keys(tmp_path: Path, kind: str, count: int) -> None:
    import torch

    from training import imagenet_backbones

    with torch.device("meta"):
        assert sum(p.numel() for p in imagenet_backbones.KINDS[kind]().parameters()) == count
    torch.save({"nonsense": torch.zeros(1)}, tmp_path / "w.pth")
    if kind == "resnet50":  # VGG-16 would allocate half a gigabyte for this
        with pytest.raises(ValueError, match="is no torchvision resnet50"):
            imagenet_backbones.load(kind, tmp_path / "w.pth")


def test_itq_beats_lsh_and_the_small_side_pca_is_right() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 90)).astype(np.float32) * np.linspace(3, 0.1, 90, dtype=np.float32)
    mean, basis = baselines.principal_components(x, 8)
    _, _, vt = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.sum(basis * vt[:8].T, axis=0)), 1, atol=1e-3)
    np.testing.assert_allclose(mean, x.mean(axis=0), atol=1e-5)
    hash_ = baselines.itq(x, 8)
    np.testing.assert_allclose(hash_.projection.T @ hash_.projection, np.eye(8), atol=1e-4)
    with pytest.raises(ValueError, match="at most 39"):
        baselines.principal_components(x, 64)


def _write_clip(file: Path, shade: int) -> None:
    import av

    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
