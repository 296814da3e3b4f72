"""Fine-tune, hash, export, encode with the SDK, search: the whole path on a small network."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
av = pytest.importorskip("av")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from training import clip_classifier, clip_data, extract_features, train_clip_bert, train_hash  # noqa: E402
from training.clip_data import VideoSet, carve_validation, read_hmdb51, read_manifest, read_ucf101  # noqa: E402
from training.clip_model import ClipConfig, load_model  # noqa: E402
from training.train_clip_bert import ClipTraining  # noqa: E402
from training.train_hash import HashTraining  # noqa: E402
from vhash_sdk import Encoder, Index  # noqa: E402

LABELS = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks lose more than they gain by threads, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def moving(label: str, seed: int, frames: int = 14) -> np.ndarray:
    """A square of the label's colour that moves, ``uint8[frames, 48, 64, 3]``; its way and shade vary."""
    rng = np.random.default_rng(seed)
    clip = np.full((frames, 48, 64, 3), rng.integers(20, 60), np.uint8)
    colour = rng.integers(10, 70, 3)
    colour[LABELS.index(label)] = rng.integers(200, 256)
    top, start, step = int(rng.integers(10, 22)), int(rng.integers(0, 40)), int(rng.integers(-3, 4))
    for t in range(frames):
        left = int(np.clip(start + step * t, 0, 40))
        clip[t, top : top + 20, left : left + 24] = colour
    return clip


def write(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoSet:
    root = tmp_path_factory.mktemp("videos")
    rows = []
    for c, label in enumerate(LABELS):
        for i in range(8):
            path = f"{label}/{i}.mp4"
            write(root / path, moving(label, 10 * c + i))
            group, split = f"{label}{i // 2}", "test" if i >= 6 else "train"
            rows.append({"path": path, "label": label, "group": group, "split": split})
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return read_manifest(root / "manifest.csv")


def settings(videos: VideoSet, output: Path, **changes: object) -> ClipTraining:
    config = ClipTraining(
        videos=videos.root / "manifest.csv", backbone="r2plus1d_10", output=output, frames=8, height=20,
        width=26, crop=16, epochs=8, batch=6, accumulate=1, lr=1e-3, workers=0, validation=0.3,
    )  # fmt: skip
    return replace(config, **changes)


@pytest.mark.slow
def test_fine_tune_hash_export_encode_search(
    videos: VideoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxslim")
    from export import to_onnx

    model, curve = train_clip_bert.train(settings(videos, tmp_path), videos)
    assert min(point["validation_loss"] for point in curve) < 1.0 < np.log(3), "it learns"
    assert model.config.classes == 3
    train_hash.main(
        HashTraining(
            model=tmp_path / "model.safetensors", videos=videos.root / "manifest.csv",
            output=tmp_path / "hash", bits=(16,), seeds=(0,), steps=60, k=6,
        )
    )  # fmt: skip
    checkpoint, file = tmp_path / "hash" / "clip-16.safetensors", tmp_path / "clip-16.onnx"
    monkeypatch.setattr(
        sys, "argv", ["to_onnx.py", str(checkpoint), "--output", str(file), "--data", str(tmp_path / "none")]
    )
    to_onnx.main()
    train, test = (np.flatnonzero(videos.split == part) for part in ("train", "test"))
    with Encoder(file) as encoder:
        codes = [encoder.encode(videos.root / path) for path in videos.paths]
        index = Index(encoder.spec.bits, model=encoder.spec.fingerprint)
        index.add([codes[row] for row in train], ids=train)
        found = index.search(np.stack([codes[row].code for row in test]), k=3).ids
    # the exported graph sees what training saw: PyTorch gives the same bits for the same files
    torch_model, _ = load_model(checkpoint)
    config = torch_model.config
    frames = clip_data.Clips(videos, [int(test[0])], config, training=False)[0][0]
    logits = torch_model(frames[None, None])[1][0].detach().numpy()
    sure = np.abs(logits) > 1e-2
    bits = np.unpackbits(codes[test[0]].code, bitorder="little")[:16].astype(bool)
    assert np.array_equal(bits[sure], (logits >= 0)[sure]) and sure.sum() > 8
    right = videos.labels[found] == videos.labels[test][:, None]
    assert right[:, 0].mean() >= 0.5, "chance is a third"


@pytest.mark.slow
def test_training_resumes_exactly(videos: VideoSet, tmp_path: Path) -> None:
    """On cached tokens, jointly with the hash: stopped after 2 of 4 epochs and gone on = never stopped."""
    extraction = extract_features.Extraction(
        store=tmp_path / "store", videos=videos.root / "manifest.csv", backbone="r2plus1d_10", frames=8,
        height=20, width=26, crop=16,
    )  # fmt: skip
    torch.manual_seed(0)
    network, clip = extract_features.network_of(extraction)
    store = extract_features.extract_clips(extraction, videos.root, videos.paths[:-1], network, clip)
    assert store.features.shape == (23, 1, 512) and len(store.done) == 23
    with pytest.raises(ValueError, match="lacks 1 of 24 videos"):
        train_clip_bert.stored_tokens(tmp_path / "store", videos)
    part = VideoSet(
        "part", videos.root, videos.paths[:-1], videos.labels[:-1], videos.groups[:-1], videos.split[:-1]
    )
    runs = {name: tmp_path / name for name in ("whole", "stopped")}
    common = {"features": str(tmp_path / "store"), "bits": 16, "lr": 1e-3}
    train_clip_bert.train(settings(videos, runs["whole"], epochs=4, **common), part)
    train_clip_bert.train(settings(videos, runs["stopped"], epochs=2, **common), part)
    _, curve = train_clip_bert.train(settings(videos, runs["stopped"], epochs=4, resume=True, **common), part)
    assert [point["epoch"] for point in curve] == [0, 1, 2, 3]
    a, b = (train_clip_bert.checkpoint.load(runs[name] / "last.safetensors")[0] for name in runs)
    model = [name for name in a if name.startswith("model.")]
    assert model and all(torch.allclose(a[name], b[name], atol=1e-6) for name in model)
    assert clip_classifier.load(runs["whole"] / "model.safetensors")[0].backbone is None


def test_ten_crops_are_averaged(videos: VideoSet, tmp_path: Path) -> None:
    config = extract_features.Extraction(
        store=tmp_path / "store", backbone="r2plus1d_10", frames=8, height=20, width=26, crop=16, crops=10
    )
    torch.manual_seed(0)
    network, clip = extract_features.network_of(config)
    stored = extract_features.extract_clips(config, videos.root, videos.paths[:1], network, clip)
    from vhash_sdk.video.crops import ten_crops

    frames = clip_data.read_clip(
        videos.root / videos.paths[0], ClipConfig("x", frames=8, height=20, width=26)
    )
    crops = torch.from_numpy(ten_crops(frames, (16, 16))).permute(0, 4, 1, 2, 3).float() / 255
    mean, std = (torch.tensor(x)[:, None, None, None] for x in (network.mean, network.std))
    with torch.inference_mode():
        expected = network((crops - mean) / std).mean(0)
    np.testing.assert_allclose(stored.features[0], expected, rtol=2e-3, atol=2e-3)


def test_official_layouts(tmp_path: Path) -> None:
    (tmp_path / "trainlist01.txt").write_text(
        "Biking/v_Biking_g08_c01.avi 1\nBiking/v_Biking_g09_c01.avi 1\nArchery/v_Archery_g08_c01.avi 2\n"
    )
    (tmp_path / "testlist01.txt").write_text("Biking/v_Biking_g01_c02.avi\n")
    ucf = read_ucf101(tmp_path, tmp_path)
    assert (ucf.classes, len(ucf), ucf.targets().tolist()) == (["Archery", "Biking"], 4, [1, 1, 0, 1])
    assert ucf.groups.tolist() == ["Biking_g08", "Biking_g09", "Archery_g08", "Biking_g01"]
    assert ucf.split.tolist() == ["train"] * 3 + ["test"]
    (tmp_path / "brush_hair_test_split2.txt").write_text(
        "A_film_brush_hair_u_cm_np1_ba_goo_0.avi 1\nA_film_brush_hair_u_cm_np1_ba_goo_1.avi 2 \n"
        "B_brush_hair_u_nm_np1_fr_med_0.avi 0\n"
    )
    hmdb = read_hmdb51(tmp_path, tmp_path, split=2)
    assert hmdb.split.tolist() == ["train", "test", "unused"]
    assert hmdb.groups.tolist() == ["brush_hair/A_film", "brush_hair/A_film", "brush_hair/B"]
    assert hmdb.paths[0] == "brush_hair/A_film_brush_hair_u_cm_np1_ba_goo_0.avi"
    for read, message in ((read_ucf101, "trainlist03"), (read_hmdb51, r"no \*_test_split3")):
        with pytest.raises(ValueError, match=message):
            read(tmp_path, tmp_path, split=3)


def test_validation_is_carved_by_group(videos: VideoSet) -> None:
    fit, held = carve_validation(videos, share=0.3)
    assert set(videos.split[fit]) == set(videos.split[held]) == {"train"}
    assert not set(videos.groups[fit]) & set(videos.groups[held])
    assert set(videos.labels[fit]) == set(LABELS) == set(videos.labels[held])
    assert len(fit) + len(held) == (videos.split == "train").sum()


def test_random_starts_and_augmentation(videos: VideoSet) -> None:
    config = ClipConfig("x", frames=8, height=48, width=64, crop=32)
    path = videos.root / videos.paths[0]
    starts = [clip_data.read_clip(path, config, start=s) for s in (0.0, 0.5, 1.0)]
    assert all(frames.shape == (8, 48, 64, 3) for frames in starts)
    assert np.array_equal(starts[1], clip_data.read_clip(path, config)), "halfway is the middle"
    assert np.array_equal(starts[0][6], starts[2][0]), "14 frames: the last start is frame 6"
    short = clip_data.read_clip(path, replace(config, frames=20), start=0.3)
    assert np.array_equal(short[14], short[0]), "a shorter video wraps around"
    clips = clip_data.Clips(videos, [0, 1], config, training=True)
    first = [clips[0][0] for _ in range(2)]
    assert torch.equal(first[0], first[1]) and first[0].shape == (8, 32, 32, 3)
    clips.epoch = 1
    assert not torch.equal(clips[0][0], first[0])


def test_other_splits_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allowed: manifest, and ucf101"):
        clip_data.read_set("kinetics", tmp_path, None)
    (tmp_path / "manifest.csv").write_text("path,split\na.mp4,train\n")
    with pytest.raises(ValueError, match="has no column label"):
        clip_data.read_set("manifest", tmp_path / "manifest.csv", None)


@pytest.mark.long
def test_public_weights_and_two_commands_give_the_papers_model(tmp_path: Path) -> None:
    """Weights of IG65M's layout and UCF101's folders: exactly the commands of train_clip_bert's docstring."""
    import subprocess

    from training.r2plus1d import R2Plus1D

    torch.manual_seed(0)
    weights = tmp_path / "r2plus1d_34_clip32_ig65m_from_scratch-449a7af9.pth"
    torch.save(R2Plus1D(34, classes=359).state_dict(), weights)
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for c, label in enumerate(LABELS[:2]):
        for group in range(1, 5):
            name = f"{label}/v_{label}_g{group:02d}_c01.avi"
            write(tmp_path / "UCF-101" / name, moving(label, 10 * c + group))
            lists["test" if group == 1 else "train"].append(name)
    splits = tmp_path / "ucfTrainTestlist"
    splits.mkdir()
    for part, names in lists.items():
        (splits / f"{part}list01.txt").write_text("".join(f"{name} 1\n" for name in names))
    data = ["--dataset", "ucf101", "--videos", str(tmp_path / "UCF-101"), "--splits", str(splits)]
    commands = (
        ["training.train_clip_bert", *data, "--weights", str(weights), "--output", str(tmp_path / "run"),
         "--precision", "bf16", "--save-memory", "--workers", "1",
         # what makes it small enough for a test
         "--epochs", "1", "--frames", "8", "--height", "20", "--width", "26", "--crop", "16"],
        ["training.train_hash", "--model", str(tmp_path / "run" / "model.safetensors"), *data,
         "--output", str(tmp_path / "hash"), "--steps", "12", "--seeds", "0"],
    )  # fmt: skip
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'sdk'}", "OMP_NUM_THREADS": "1"}
    for command in commands:
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environment, check=True)
    model, card = load_model(tmp_path / "hash" / "clip-64.safetensors")
    assert (model.config.backbone, model.config.layout, model.config.bits) == ("r2plus1d_34", "ig65m", 64)
    assert sum(p.numel() for p in model.backbone.parameters()) == 63_491_975
    assert model.backbone.stem[1].eps == 1e-3 and card["classes"] == ["green", "red"]
    # nearly the published weights: one epoch at 1e-5 hardly moves them
    moved = (
        model.backbone.layer4[2].conv2[0][0].weight
        - torch.load(weights, weights_only=True)["layer4.2.conv2.0.0.weight"]
    )
    assert 0 < moved.abs().max() < 1e-3
