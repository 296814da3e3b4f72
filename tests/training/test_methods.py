"""The registry: each method beats LSH on a toy set, repeats itself, resumes, and comes back from disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training import baselines, checkpoint  # noqa: E402 (torch is optional)
from training.data import FeatureSet, synthetic, train_database_queries  # noqa: E402
from training.methods.__main__ import main  # noqa: E402
from training.methods.base import Shape  # noqa: E402
from training.methods.centres import hadamard_centres  # noqa: E402
from training.methods.graphs import anchor_similarity, kmeans  # noqa: E402
from training.methods.masked import debiased_contrast  # noqa: E402
from training.methods.registry import METHODS, HeadConfig, table  # noqa: E402
from training.methods.train import encode, train  # noqa: E402
from training.metrics import average_precision, hamming  # noqa: E402
from training.reduce import Reduced, reduce  # noqa: E402

TOKENS = {"width": 32, "depth": 1, "batch": 64, "lr": 5e-3}
QUICK: dict[str, dict[str, Any]] = {
    "mfh": {},
    "dh": {"epochs": 60},
    "ssth": {"epochs": 30, "hidden": 32, "lr": 5e-3, "batch": 64},
    "jtae": {"epochs": 8, "hidden": 32, "lr": 5e-3, "batch": 64},
    "ssvh": {"epochs": 25, "hidden": 32, "lr": 5e-3, "batch": 64},
    "bth": TOKENS | {"epochs": 15, "lr": 3e-3, "heads": 4, "assignment": 1.0},
    "conmh": TOKENS | {"epochs": 12, "heads": 2, "decoder_width": 32, "decoder_heads": 2, "decoder_depth": 1},
    "s5vh": TOKENS | {"epochs": 12, "decoder_width": 16, "warm_up": 8, "clusters": 10, "align": 1.0},
    "csq": {"epochs": 30, "hidden": 64, "batch": 32},
    "dhwcm": {"epochs": 20, "hidden": 64, "batch": 32, "lr": 1e-2},
    "ksh": {"anchors": 60, "steps": 20},
    "srh": {"epochs": 10, "hidden": 32, "batch": 64, "lr": 5e-3},
    "dvh": {"epochs": 10, "hidden": 32, "batch": 64, "lr": 5e-3},
    "dnnh": {"epochs": 12, "slice": 4, "lr": 5e-3},
    "dbh": {"epochs": 20, "batch": 64, "lr": 1e-2},
}
BITS = {"mfh": 8}
"""Only where its 16th eigenvector is past the toy set's ten classes."""
README = Path(__file__).parents[2] / "training" / "README.md"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more, and wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy() -> tuple[FeatureSet, FeatureSet, Reduced]:
    database, queries = train_database_queries(synthetic(videos=200, width=32), validation=False)
    return database, queries, reduce(database, queries, 0)


def score(queries: np.ndarray, database: np.ndarray, data: Reduced) -> float:
    return float(np.nanmean(average_precision(hamming(queries, database), data.relevant)))


@pytest.mark.parametrize("name", METHODS)
def test_it_beats_lsh_on_the_toy_set_the_same_way_each_time(name: str) -> None:
    database, queries, data = toy()
    method, bits = METHODS[name], BITS.get(name, 16)
    options = method.options(**QUICK[name])
    head = train(method, options, data, database.labels, bits=bits, seed=0).head
    random = baselines.lsh(database.mean_pooled(), bits)
    lsh = score(random.code(queries.mean_pooled()), random.code(database.mean_pooled()), data)
    found = score(encode(head, data.queries), encode(head, data.database), data)
    assert found > lsh + 0.03, f"{found:.3f}, LSH {lsh:.3f}"

    few = method.options(**QUICK[name] | {"epochs": 2})
    twice = [train(method, few, data, database.labels, bits=8, seed=3).head for _ in range(2)]
    np.testing.assert_array_equal(*(encode(head, data.queries) for head in twice))
    config = {"method": name, "options": asdict(few), "shape": asdict(twice[0].shape)}
    again = HeadConfig.of(json.loads(json.dumps(config))).head()
    again.load_state_dict(twice[0].state_dict())
    stored = torch.from_numpy(queries.features)
    with torch.inference_mode():
        packed = baselines.pack(again.eval().logits(stored).numpy())
    assert np.mean(packed != encode(twice[0], data.queries)) < 0.01  # float16 against float32 on the way


def test_labels_reach_supervised_methods_only() -> None:
    database, _, data = toy()
    nothing = np.roll(database.labels, 7, axis=0)
    for name, changes in (("jtae", False), ("dbh", True)):
        options = METHODS[name].options(**QUICK[name] | {"epochs": 2})
        codes = [
            encode(train(METHODS[name], options, data, labels, bits=16, seed=0).head, data.database)
            for labels in (database.labels, nothing)
        ]
        assert np.array_equal(*codes) != changes


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mfh", 64 * 4097),
        ("dh", 100 * 4097 + 80 * 101 + 64 * 81),
        ("ssth", 4 * 64 * (4096 + 64 + 1) + 2 * 64 * 25),
        ("dbh", 64 * 4097),
        ("csq", 1024 * 4097 + 64 * 1025),
        ("ksh", 64 * 300),
    ],
)
def test_sizes_follow_from_the_papers_layers(name: str, parameters: int) -> None:
    with torch.device("meta"):
        encoder, _ = METHODS[name].make(Shape(4096, 4096, 64, 25, 14), METHODS[name].options())
    assert sum(p.numel() for p in encoder.parameters()) == parameters


def test_a_run_goes_on_exactly_where_it_stopped(tmp_path: Path) -> None:
    database, _, data = toy()
    for name in ("ssvh", "s5vh"):  # both keep more than weights: a memory of codes, moving labels
        method = METHODS[name]
        options = method.options(**QUICK[name] | {"epochs": 4} | ({"warm_up": 1} if name == "s5vh" else {}))
        whole = train(method, options, data, database.labels, bits=8, seed=1)
        last = tmp_path / f"{name}.safetensors"
        train(method, options, data, database.labels, bits=8, seed=1, last=last, stop=2)
        resumed = train(method, options, data, database.labels, bits=8, seed=1, last=last)
        np.testing.assert_allclose(whole.losses, resumed.losses, rtol=1e-4)
        np.testing.assert_array_equal(*(encode(t.head, data.database) for t in (whole, resumed)))
        with pytest.raises(ValueError, match="is of another run"):
            train(method, options, data, database.labels, bits=8, seed=2, last=last)


def test_the_command_trains_and_its_checkpoint_is_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.evaluate import load_model

    main(["dbh", "--epochs", "3", "--bits", "16", "--pca", "24", "--output", str(tmp_path)])
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["parameters"] == 16 * 25 and result["cpu_seconds"] >= 0 and len(result["losses"]) == 3
    assert not list(tmp_path.glob("last.*"))
    name, bits, code = load_model(tmp_path / "model.safetensors")
    assert (name, bits, code(synthetic(videos=20)).shape) == ("dbh", 16, (20, 2))
    with pytest.raises(SystemExit, match="method 'nonsense'; allowed: mfh, dh"):
        main(["nonsense"])
    tensors, config = checkpoint.load(shutil.copy(tmp_path / "model.safetensors", tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match="options \\['speed'\\] of dbh; allowed: batch"):
        HeadConfig.of(config | {"options": {"speed": 1}})
    assert set(tensors) >= {"scale", "basis", "centre"}
    capsys.readouterr()
    main(["--list"])
    assert capsys.readouterr().out.strip() == table()


def test_the_readme_has_the_table() -> None:
    assert table() in README.read_text("utf-8")


def test_centres_clusters_and_contrast_by_their_definitions() -> None:
    centres = hadamard_centres(14, 64, seed=0)
    distance = (64 - centres @ centres.T) / 2
    assert distance.fill_diagonal_(32).min() == distance.max() == 32
    drawn = hadamard_centres(40, 16, seed=0)  # more than 2 · 16
    assert drawn.shape == (40, 16) and len({tuple(c.tolist()) for c in drawn}) == 40
    torch.manual_seed(0)
    x = torch.cat([torch.randn(30, 4), 20 + torch.randn(30, 4)])
    anchors, nearest = kmeans(x, 2, seed=0)
    assert set(nearest[:30].tolist()).isdisjoint(nearest[30:].tolist()) and anchors.shape == (2, 4)
    apart = anchor_similarity(x, torch.cat([torch.randn(5, 4), 20 + torch.randn(5, 4)]))
    assert apart[:30, 30:].abs().max() == 0 and (apart[:30, :30].diagonal() == 1).all()
    one = torch.randn(8, 16)
    same, other = (debiased_contrast(one, o, temperature=0.5, prior=0.1) for o in (one, one.roll(1, 0)))
    assert same < other
