"""What zero-padded mid planes gain: R(2+1)D-34 with 45, 230, 460, 921 planes, and with 48, 240, 464, 928.

    python -m benchmarks.speed.video_networks --prepare          # the padded files
    python -m benchmarks.speed.video_networks_padding --prepare  # the same unpadded, some CPU minutes
    python -m benchmarks.speed.video_networks_padding

Generated weights: time does not depend on them. The two are run in turn in one process, all cores, one
clip. I3D is not here: its planes are multiples of 16 but for two layers of 24, which nothing pads. Writes
``results/clip_padding.json``.
"""

from __future__ import annotations

import onnx

from benchmarks.common import command_line, interleave, summary, write_result
from benchmarks.speed.video_networks import FOLDER, MODELS, engines, example

NAME = "clip_padding"
PADDED, UNPADDED = "r2plus1d-34-random", "r2plus1d-34-unpadded"


def prepare() -> None:
    """Float and int8 graph of the unpadded network."""
    from export import clip, families, to_onnx
    from training.clip_model import load_model

    model, _ = load_model(FOLDER / f"{PADDED}.safetensors")
    ready = clip.prepared(model, multiple=1)
    graph = to_onnx.to_float_graph(ready, clip.specification(model), families.OUTPUTS)
    onnx.save(graph, FOLDER / f"{UNPADDED}.onnx")
    # ranges decide no kernel's time: one clip of noise is enough
    noise = example(model.config, 1)[0].numpy()
    onnx.save(clip.quantise(graph, [noise]), FOLDER / f"{UNPADDED}.int8.onnx")


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.prepare:
        prepare()
        return
    frames = example(MODELS[PADDED], 1).numpy()
    cases = {
        f"{engine} {precision}, {what}": lambda r=run: r(frames)
        for what, name in (("padded", PADDED), ("as they are", UNPADDED))
        for (engine, precision), run in engines(name).items()
    }
    # of one engine the two follow each other: what else the machine does hits both alike
    found = interleave({name: cases[name] for name in sorted(cases)}, rounds=options.rounds)
    rows = []
    for title in sorted({name.split(",")[0] for name in found}):
        seconds = {what: summary(found[f"{title}, {what}"]) for what in ("padded", "as they are")}
        gain = {key: seconds["as they are"][key] / seconds["padded"][key] for key in ("min", "p50")}
        rows.append({"engine": title, "seconds": seconds, "times as fast padded": gain})
        print(title, {key: round(value, 3) for key, value in gain.items()}, flush=True)
    print(write_result(NAME, {"command": "python -m benchmarks.speed.video_networks_padding", "rows": rows}))


if __name__ == "__main__":
    main()
