"""BERT and the hash network on classes they never saw: real10, five disjoint pairs of classes left out.

    python -m benchmarks.retrieval.supervised_unseen  # features as for supervised_runs; some CPU minutes

Every stage (BERT, hash network, ITQ) is trained on the train split of the other eight classes. Five pairs
leave each class out once, where `real10_unseen` leaves out all 45: a trained network costs too much for
those. All methods here share the pairs, so compare within this file. Writes ``results/clip_unseen.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks.common import CACHE, RESULTS, command_line, write_result
from benchmarks.retrieval.real10_unseen import affine, uncoded
from benchmarks.retrieval.supervised_runs import Floats, bert_training, real10_tokens, rotated, supervised
from training.clip_data import VideoSet
from training.train_clip_bert import train
from training.unseen import Code, Fit, Labelled, Rows, unseen_classes

NAME = "clip_unseen"
BITS = 64


def disjoint_pairs(classes: list[str]) -> list[tuple[str, str]]:
    """Neighbours in the list: each class is in one pair.

    >>> disjoint_pairs(["a", "b", "c", "d"])
    [('a', 'b'), ('c', 'd')]
    """
    return list(zip(classes[::2], classes[1::2], strict=True))


def attended(videos: VideoSet, tokens: torch.Tensor, *, coded: bool) -> Fit:
    """BERT trained on ``rows``: its feature, or the codes of a hash network trained on that."""

    def fit(rows: Rows, seed: int) -> Code:
        part = videos.only(rows)
        left_out = sorted(set(videos.classes) - set(part.classes))
        config = bert_training(
            CACHE / "real10" / f"bert-{seed}-without-{'-'.join(left_out)}", bits=0, seed=seed
        )
        model, _ = train(replace(config, precision="bf16"), part)
        with torch.inference_mode():
            features = model.pooling(tokens.float()).numpy()
        if coded:
            return supervised(features, videos.labels, BITS, precision="bf16")(rows, seed)
        return uncoded(features)(rows, seed)

    return fit


def methods() -> tuple[VideoSet, dict[str, tuple[Callable[[], Fit], int]]]:
    """The set; name → (how to fit it, bits)."""
    videos, tokens = real10_tokens()
    x: Floats = tokens.float().mean(1).numpy()
    return videos, {
        "I3D mean, uncoded": (lambda: uncoded(x), 0),
        "I3D mean, PCA and rotation": (lambda: rotated(x, BITS, BITS), BITS),
        "I3D mean, ITQ": (lambda: affine(x, "itq", BITS), BITS),
        "I3D mean, LSH": (lambda: affine(x, "lsh", BITS), BITS),
        "I3D mean, hash network": (lambda: supervised(x, videos.labels, BITS, precision="bf16"), BITS),
        "BERT, uncoded": (lambda: attended(videos, tokens, coded=False), 0),
        "BERT, then hash network": (lambda: attended(videos, tokens, coded=True), BITS),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.parse_args()
    torch.set_num_threads(1)
    videos, every = methods()
    data = Labelled(videos.labels, videos.groups, videos.split == "test")
    pairs = disjoint_pairs(videos.classes)
    path = RESULTS / f"{NAME}.json"
    models: dict[str, Any] = json.loads(path.read_text())["models"] if path.exists() else {}
    for name, (make, bits) in every.items():
        if name in models:
            continue
        found = unseen_classes(data, make(), seeds=(0,), pairs=pairs)
        models[name] = {"bits": bits, **found.summary()}
        write_result(NAME, {
            "command": "python -m benchmarks.retrieval.supervised_unseen", "left out": pairs, "seeds": 1,
            "queries": len(found.queries), "models": models,
        })  # fmt: skip
        print(name, models[name]["left out"]["mAP"], models[name]["whole"]["mAP"], flush=True)


if __name__ == "__main__":
    main()
