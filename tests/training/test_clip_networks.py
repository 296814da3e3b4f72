from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from training import i3d, r2plus1d  # noqa: E402
from training.bert import BertConfig, BertPooling, UnbiasedNorm  # noqa: E402
from training.clip_backbone import make_backbone  # noqa: E402
from training.hash_net import HashConfig, HashNetwork  # noqa: E402


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("network", "parameters"), r2plus1d.PARAMETERS.items(), ids=str)
def test_r2plus1d_has_the_published_parameters(network: tuple[int, str, int], parameters: int) -> None:
    depth, layout, classes = network
    with torch.device("meta"):
        assert count(r2plus1d.R2Plus1D(depth, layout=layout, classes=classes)) == parameters


def test_r2plus1d_34_stage_by_stage() -> None:
    with torch.device("meta"):
        model = r2plus1d.R2Plus1D(34, classes=359)
    assert [count(part) for part in model.children()][:5] == [
        15_473, 666_048, 3_332_364, 20_400_408, 39_077_682,
    ]  # fmt: skip
    state = model.state_dict()
    assert len(state) == 416
    mids = {k.removesuffix(".0.0.weight"): v.shape[0] for k, v in state.items() if k.endswith(".0.0.weight")}
    assert mids["layer1.0.conv1"] == mids["layer1.2.conv2"] == 144
    for stage, (first, rest) in {2: (230, 288), 3: (460, 576), 4: (921, 1152)}.items():
        found = [mids[f"layer{stage}.0.conv1"], mids[f"layer{stage}.0.conv2"], mids[f"layer{stage}.1.conv1"]]
        assert found == [first, rest, rest]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, object]]]:
    """Generated R(2+1)D-18 files in both published layouts, batch statistics and all."""
    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for layout in ("ig65m", "torchvision"):
        torch.manual_seed(3)
        model = r2plus1d.R2Plus1D(18, layout=layout, classes=400)
        for name, tensor in model.state_dict().items():
            if name.endswith(("running_mean", "running_var")):
                tensor.uniform_(0.5, 1.5)
        file = folder / f"{layout}.pth"
        torch.save(model.state_dict(), file)
        found[layout] = (file, model.eval())
    return found


@pytest.mark.parametrize("layout", ["ig65m", "torchvision"])
def test_published_layouts_load_and_compute_the_same(checkpoints, layout: str) -> None:
    file, original = checkpoints[layout]
    model = r2plus1d.load_weights(file, depth=18)
    assert (model.layout, model.stem[1].eps) == (layout, {"ig65m": 1e-3, "torchvision": 1e-5}[layout])
    x = torch.randn(1, 3, 8, 32, 32)
    with torch.inference_mode():
        feature = model(x)
        assert feature.shape == (1, 512, model.tokens(8), 2, 2)
        torch.testing.assert_close(feature, original(x))


def test_wrapped_and_safetensors_checkpoints(checkpoints, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = torch.load(checkpoints["ig65m"][0], weights_only=True)
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "wrapped.pth")
    save_file(state, tmp_path / "plain.safetensors")
    for name in ("wrapped.pth", "plain.safetensors"):
        loaded = r2plus1d.load_weights(tmp_path / name, depth=18).state_dict()
        assert all(torch.equal(loaded[k], state[k]) for k in loaded)


def test_what_does_not_fit_is_named(checkpoints, tmp_path: Path) -> None:
    file = checkpoints["ig65m"][0]
    with pytest.raises(
        ValueError, match=r"not R\(2\+1\)D-34 \(8 blocks, expected 16\); missing \['layer1\.2"
    ):
        r2plus1d.load_weights(file, depth=34)
    state = torch.load(file, weights_only=True)
    cases = {
        "no R\\(2\\+1\\)D": {"conv1.weight": torch.zeros(1)},
        r"layer3\.0\.conv2\.0\.0\.weight is \[460, .*expected \[576": state
        | {"layer3.0.conv2.0.0.weight": torch.zeros(460, 256, 1, 3, 3)},
        "unknown \\['head.weight'\\]": state | {"head.weight": torch.zeros(1)},
        "expected a dictionary of tensors": [1, 2],
    }
    for message, content in cases.items():
        torch.save(content, tmp_path / "bad.pth")
        with pytest.raises(ValueError, match=message):
            r2plus1d.load_weights(tmp_path / "bad.pth", depth=18)


class _Evil:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_code_in_a_checkpoint_never_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pickle

    torch.save({"stem.0.weight": _Evil()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(_Evil()))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(ValueError, match="not a checkpoint of plain tensors"):
            r2plus1d.load_weights(tmp_path / name)
    assert "never" not in capsys.readouterr().out


def test_same_padding_is_tensorflows() -> None:
    assert i3d.same_padding((16, 7, 8), (3, 3, 3), (2, 2, 2)) == [0, 1, 1, 1, 0, 1]
    for size in range(1, 40):
        for kernel, stride in ((7, 2), (3, 2), (2, 2), (3, 1)):
            *_, before, after = i3d.same_padding((1, 1, size), (1, 1, kernel), (1, 1, stride))[:2]
            assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
            assert after - before in (0, 1)


def test_i3d_shapes_and_wrong_files(tmp_path: Path) -> None:
    model = make_backbone("i3d").eval()
    for frames, side in ((8, 64), (13, 48)):
        with torch.inference_mode():
            feature = model(torch.zeros(1, 3, frames, side, side))
        assert feature.shape == (1, 1024, model.tokens(frames), -(-side // 32), -(-side // 32))
    np.savez(tmp_path / "bad.npz", **{"c1a.conv.weight": np.zeros((64, 3, 7, 7, 7))})
    with pytest.raises(ValueError, match="not I3D's 287 arrays"):
        i3d.load_weights(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match="allowed: i3d"):
        make_backbone("c3d")


@pytest.mark.parametrize(
    ("clip", "label"),
    [
        ("misc/decord_flipping_a_pancake.mkv", "flipping pancake"),
        ("misc/v_Biking_g05_c02.avi", "riding mountain bike"),
    ],
)
def test_i3d_recognises_real_clips(data: Path, clip: str, label: str) -> None:
    from training.clips import read_frames
    from vhash_sdk.spec import Resize, Sampling

    model = i3d.load_weights(data / "weights" / "i3d_rgb_kinetics400_fp16.npz")
    labels = (data / "weights" / "kinetics400_label_map.txt").read_text().splitlines()
    resize = Resize("short_side", 256, 256, crop=(224, 224))
    frames = read_frames(data / "videos" / clip, Sampling("middle", 32), resize)
    x = (torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        scores = model.classify(model(x)).softmax(1)[0]
    assert labels[int(scores.argmax())] == label and scores.max() > 0.8


def test_bert_counts_masks_and_norms() -> None:
    assert count(BertPooling(BertConfig())) == 3_155_456
    assert count(BertPooling(BertConfig(tokens=8))) == 3_157_504
    torch.manual_seed(0)
    pool = BertPooling(BertConfig(width=64, tokens=5, heads=8, dropout=0.0, keep=0.5))
    tokens = torch.randn(3, 5, 64)
    assert torch.equal(pool.eval()(tokens), pool(tokens))
    changed = pool.train()(tokens)
    assert not torch.equal(changed, pool.eval()(tokens)), "in training keys are masked at random"
    # a masked key has no influence at all: what the token holds does not matter
    keys = torch.ones(3, 6, dtype=torch.bool)
    keys[:, 4] = False
    x = torch.randn(3, 6, 64)
    y = x.clone()
    y[:, 4] += 1
    a, b = pool.attention(x, keys), pool.attention(y, keys)
    torch.testing.assert_close(a[:, :4], b[:, :4])
    with pytest.raises(ValueError, match="4 tokens, made for 5"):
        pool(tokens[:, :4])


def test_unbiased_norm_is_the_authors() -> None:
    x = torch.randn(4, 7, 32)
    expected = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(UnbiasedNorm(32)(x), expected)
    model = BertPooling(BertConfig(norm="unbiased"))
    assert count(model) == 3_155_456
    assert isinstance(model.norm1, UnbiasedNorm)


def test_attention_is_pytorchs() -> None:
    pool = BertPooling(BertConfig(width=64, heads=4)).eval()
    theirs = torch.nn.MultiheadAttention(64, 4, batch_first=True).eval()
    ours = pool.attention
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in parts]))
        theirs.in_proj_bias.copy_(torch.cat([p.bias for p in parts]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    x = torch.randn(2, 5, 64)
    torch.testing.assert_close(ours(x, None), theirs(x, x, x)[0])


@pytest.mark.parametrize(
    ("bits", "parameters"),
    [(16, 3_818_437), (32, 3_824_165), (64, 3_835_621), (128, 3_858_533), (256, 3_904_357), (512, 3_996_005)],
)
def test_hash_network_counts(bits: int, parameters: int) -> None:
    network = HashNetwork(HashConfig(512, bits, 101))
    assert count(network) == parameters
    if bits == 64:
        assert parameters - count(network.classifier) == 3_829_056


def test_both_readings_of_dropout() -> None:
    places = [
        [type(part).__name__ for part in HashNetwork(HashConfig(8, 16, 3, dropout=kind)).hidden]
        for kind in ("input", "per_layer")
    ]
    assert [names.count("Dropout") for names in places] == [1, 4]
    assert places[0][:4] == ["Dropout", "Linear", "ReLU", "BatchNorm1d"]


def test_whole_model_counts() -> None:
    with torch.device("meta"):
        base = count(r2plus1d.R2Plus1D(34)) + count(BertPooling(BertConfig()))
    for classes, expected in ((101, 66_699_244), (51, 66_673_594)):
        assert base + count(torch.nn.Linear(512, classes)) == expected
