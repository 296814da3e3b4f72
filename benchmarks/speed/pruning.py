"""How much of an exact search for copies, within 60 of 256 bits, need not be done? Counted, not timed.

    python -m benchmarks.speed.pruning [--codes 1e5] [--queries 200]

Codes: *uniform*; *fitted*: signs of normal variables that have the mean and the covariance of the default
model's logits of pictures (described by `benchmarks.near_duplicates.copy_heads`); *real*: the codes of those
pictures, and the edited views of them as queries. A tenth of the queries to made codes are copies, with as
many bits flipped as a view has.

*stops*: the share of the bits that a scan reads before it can leave the tile of 512 codes, or of 8 as a line
of memory holds them word by word, because all of them are beyond the radius already; bits as they are stored,
and those first that leave least to the radius (the most even and least like the ones before). *clusters*:
k-means over the codes, the triangle's inequality for a whole cluster and for each code's distance from its
centre; the share of the codes whose distance has to be computed, centres among them. *multi-index*: the
share of the codes that would be looked at if each part of the code were looked up with the radius's share.
Writes results/pruning.json.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from benchmarks.common import command_line, write_result
from benchmarks.near_duplicates import copy_heads
from training.train_copy_hash import Described
from vhash_sdk.models.zoo import model_path

BITS, RADIUS, STEP = 256, 60, 16
TILES = {"a tile of 512": 512, "a line of 8": 8}
CLUSTERS = (256, 1024)
Signs = NDArray[np.int8]
"""Codes ``[n, 256]`` of −1 and 1."""


def logits(known: Described) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of the pictures ``[n, 256]`` and of one edited view of each, by the bundled projection."""
    graph = onnx.load(model_path("copy-256", "fp32")).graph
    weights = {x.name.removesuffix("_fp16"): numpy_helper.to_array(x) for x in graph.initializer}
    weight, bias = (weights[f"project.{part}"].astype(np.float32) for part in ("weight", "bias"))
    return known.clean.numpy() @ weight.T + bias, known.views[0].numpy() @ weight.T + bias


def signs(x: NDArray[Any]) -> Signs:
    """−1 and 1."""
    return np.where(x >= 0, 1, -1).astype(np.int8)


def asked(codes: Signs, count: int, flipped: int, rng: np.random.Generator) -> tuple[Signs, Signs]:
    """Queries that are not among the codes, but for a tenth that are copies; and the codes."""
    queries, rest = codes[:count].copy(), codes[count:]
    for query in range(0, count, 10):
        queries[query] = rest[rng.integers(len(rest))]
        queries[query, rng.choice(BITS, flipped, replace=False)] *= -1
    return queries, rest


def telling(codes: Signs) -> NDArray[np.int64]:
    """Bits in the order in which they tell most: even ones that are least like those before."""
    x = codes[:20000].astype(np.float32)
    like = np.square(x.T @ x / len(x))
    uneven = np.square(x.mean(axis=0))
    order, cost = [], uneven.copy()
    for _ in range(BITS):
        best = int(np.argmin(cost))
        order.append(best)
        cost += like[best]
        cost[best] = np.inf
    return np.array(order)


def stops(queries: Signs, codes: Signs) -> dict[str, float]:
    """For each size of tile, the share of bits that is read; a tile with a match is read whole."""
    found = {}
    parts = [slice(at, at + STEP) for at in range(0, BITS, STEP)]
    x, q = codes.astype(np.float32), queries.astype(np.float32)
    so_far = np.zeros((len(q), len(x)), np.float32)
    still = {name: np.ones((len(q), len(x) // size), bool) for name, size in TILES.items()}
    read = dict.fromkeys(TILES, 0.0)
    for part in parts:
        for name in TILES:  # what is not left yet reads this part
            read[name] += float(still[name].mean())
        so_far += (STEP - q[:, part] @ x[:, part].T) / 2
        for name, size in TILES.items():
            near = so_far[:, : len(x) // size * size].reshape(len(q), -1, size) <= RADIUS
            still[name] = near.any(axis=2)
    for name in TILES:
        found[name] = read[name] / len(parts)
    return found


def clusters(queries: Signs, codes: Signs, count: int, rng: np.random.Generator) -> dict[str, float]:
    """The share of codes whose distance is computed: behind the clusters' bounds, and behind their own."""
    x, q = codes.astype(np.float32), queries.astype(np.float32)
    centres = x[rng.choice(len(x), count, replace=False)]
    for _ in range(8):
        own = np.concatenate([np.argmax(part @ centres.T, axis=1) for part in np.array_split(x, 16)])
        sums = np.zeros_like(centres)
        np.add.at(sums, own, x)
        centres = np.where(sums >= 0, 1.0, -1.0).astype(np.float32)
    own = np.concatenate([np.argmax(part @ centres.T, axis=1) for part in np.array_split(x, 16)])
    inside = (BITS - np.einsum("nb,nb->n", x, centres[own])) / 2
    reach = np.zeros(count)
    np.maximum.at(reach, own, inside)
    from_query = (BITS - q @ centres.T) / 2
    whole = from_query - reach[None] <= RADIUS
    each = whole[:, own] & (np.abs(from_query[:, own] - inside[None]) <= RADIUS)
    more = count / len(x)
    return {
        "clusters' bounds": float(whole[:, own].mean()) + more,
        "codes' own bounds": float(each.mean()) + more,
    }


def multi_index(codes: Signs) -> dict[str, float]:
    """Codes looked at for a query, in shares of all: substrings of 16 to 32 bits within their share."""
    found = {}
    x = codes.astype(np.float32)
    sample = x[:500]
    for width in (16, 32):
        within = RADIUS // (BITS // width)
        parts = [slice(at, at + width) for at in range(0, BITS, width)]
        seen = sum(
            float(((width - sample[:, part] @ x[500:, part].T) / 2 <= within).mean()) for part in parts
        )
        lookups = len(parts) * sum(comb(width, d) for d in range(within + 1))
        found[f"{len(parts)} parts of {width} bits"] = {"candidates": seen, "lookups": lookups}
    return found


def study(queries: Signs, codes: Signs, rng: np.random.Generator) -> dict[str, Any]:
    """Everything, of one set."""
    distances = (BITS - queries.astype(np.float32) @ codes.astype(np.float32).T) / 2
    strangers = distances[distances > RADIUS]
    order = telling(codes)
    return {
        "codes": len(codes),
        "queries": len(queries),
        "strangers' distances": {"mean": float(strangers.mean()), "deviation": float(strangers.std())},
        "stops": {
            "as stored": stops(queries, codes),
            "most telling first": stops(queries[:, order], codes[:, order]),
        },
        "clusters": {str(count): clusters(queries, codes, count, rng) for count in CLUSTERS},
        "multi-index": multi_index(codes),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--codes", type=float, default=1e5)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    copy_heads.FOLDER.mkdir(parents=True, exist_ok=True)
    own, _ = copy_heads.pictures()
    clean, views = logits(own)
    flipped = int(np.median((signs(clean) != signs(views)).sum(axis=1)))
    count = int(options.codes) + options.queries
    normal = rng.multivariate_normal(clean.mean(axis=0), np.cov(clean.T), count)
    sets = {
        "uniform": asked(signs(rng.random((count, BITS)) - 0.5), options.queries, flipped, rng),
        "fitted": asked(signs(normal), options.queries, flipped, rng),
        "real": (signs(views[: options.queries]), signs(clean)),
    }
    result = {}
    for name, (queries, codes) in sets.items():
        result[name] = study(queries, codes, rng)
        print(name, result[name], flush=True)
    about = {"bits": BITS, "radius": RADIUS, "bits flipped in copies": flipped}
    print(write_result("pruning", {"command": "python -m benchmarks.speed.pruning", **about, "sets": result}))


if __name__ == "__main__":
    main()
