"""The bundled models on copies that other people made: each is nearest to its sibling, far from all else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from vhash_sdk import Encoder, Index

MARGIN = 0.06  # of the bits, between the farthest copy's nearest sibling and any unrelated clip


@pytest.mark.parametrize("precision", ["int8", pytest.param("fp32", marks=pytest.mark.slow)])
def test_variants_and_the_carphone_pair_find_each_other(data: Path, precision: str) -> None:
    families = {
        "chair": sorted((data / "videos" / "neardup").glob("*.mp4")),
        "carphone": sorted((data / "videos" / "misc").glob("carphone_*.mp4")),
    }
    unrelated = [path for path in sorted((data / "videos" / "misc").iterdir()) if "carphone" not in path.name]
    family = [name for name, paths in families.items() for _ in paths] + [path.name for path in unrelated]
    paths = [path for paths in families.values() for path in paths] + unrelated
    with Encoder(precision=precision) as encoder:  # type: ignore[arg-type]
        results = list(encoder.encode_many(paths))
        assert [result.error for result in results] == [None] * len(paths)
        index = Index(encoder.spec.bits, model=encoder.spec.fingerprint)
    index.add([result.code for result in results])
    matches = index.search([result.code for result in results], k=len(paths))
    names = np.array(family)
    for query, (ids, distances) in enumerate(zip(matches.ids, matches.distances, strict=True)):
        kin, others = names[ids] == family[query], names[ids] != family[query]
        if family[query] not in families:
            continue
        assert ids[0] == query or distances[0] == 0
        nearest = int(distances[kin & (ids != query)].min())
        stranger = int(distances[others].min())
        assert stranger - nearest >= MARGIN * index.bits, (paths[query].name, nearest, stranger)
