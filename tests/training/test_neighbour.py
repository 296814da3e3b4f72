"""neighbour-uvvh: the graph, the diffusion, and that its code beats LSH within seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training import baselines  # noqa: E402 (torch is optional)
from training.data import relevance, synthetic, train_database_queries  # noqa: E402
from training.metrics import average_precision, hamming  # noqa: E402
from training.neighbour import diffuse, neighbour_graph, positives  # noqa: E402
from training.train_neighbour import NeighbourTraining, codes, main, train  # noqa: E402

QUICK = NeighbourTraining(bits=32, pca=32, hidden=64, batch=64)


def test_graph_is_symmetric_without_loops() -> None:
    graph = neighbour_graph(np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32), 5)
    np.testing.assert_array_equal(graph, graph.T)
    assert not graph.diagonal().any()
    assert ((graph > 0).sum(axis=1) >= 1).all()


def test_diffusion_reaches_along_a_chain_but_not_across() -> None:
    """Two chains: the far end of one's own is nearer than anything of the other."""
    angle = np.concatenate([np.linspace(0, 1.2, 12), np.linspace(3, 4.2, 12)])
    x = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    affinity = diffuse(neighbour_graph(x, 3), restart=0.01)
    assert affinity[:12, :12].min() > affinity[:12, 12:].max()
    found = positives(affinity, 11)
    assert found[:12, 12:].sum() == 0 and found[:12, :12].sum() == 12 * 11


def test_the_learned_code_beats_lsh() -> None:
    database, queries = train_database_queries(synthetic(), validation=False)
    relevant = relevance(queries, database)
    model, curve = train(QUICK, database.features, queries.features, relevant)
    hash_ = baselines.lsh(database.mean_pooled(), 32)
    random = hamming(hash_.code(queries.mean_pooled()), hash_.code(database.mean_pooled()))
    assert curve[-1]["map"] > np.nanmean(average_precision(random, relevant)) + 0.05
    packed = codes(model, queries.features)
    assert packed.shape == (len(queries), 4) and packed.dtype == np.uint8
    whole = model.logits(torch.from_numpy(queries.features)).detach().numpy()
    np.testing.assert_array_equal(packed, baselines.pack(whole))


@pytest.mark.parametrize("change", [{"encoder": "conv"}, {"refresh": 2}, {"relax": "sign"}, {"restart": 1.0}])
def test_every_option_trains(change: dict[str, object]) -> None:
    database, _ = train_database_queries(synthetic(videos=120), validation=False)
    config = replace(QUICK, epochs=4, hidden=16, **change)
    model, curve = train(config, database.features)
    assert np.isfinite([p["loss"] for p in curve]).all()
    assert model.logits(torch.from_numpy(database.features[:3])).shape == (3, 32)


def test_twins_are_positives_of_each_other() -> None:
    from training.train_neighbour import neighbours

    x = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    twins = np.arange(40) % 20
    found = neighbours(QUICK, x, twins).numpy()
    assert all(found[i, i + 20] == found[i + 20, i] == 1 for i in range(20))
    first = neighbours(QUICK, x[:20], None).numpy()
    np.testing.assert_array_equal(found[20:, 20:], first)  # a twin has its first row's neighbours
    assert not found.diagonal().any()


def test_checkpoint_evaluates_to_the_same_figures(tmp_path: Path) -> None:
    from training.evaluate import load_model

    main(replace(QUICK, output=tmp_path, epochs=4))
    name, bits, code = load_model(tmp_path / "model.safetensors")
    assert (name, bits) == ("neighbour-uvvh", 32)
    assert code(synthetic(videos=20)).shape == (20, 4)
