"""Plots of training and retrieval; matplotlib is imported only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(1, columns, figsize=(width, height), constrained_layout=True, squeeze=False)


def _save(figure: Any, file: Path) -> None:
    import matplotlib.pyplot as plt

    file.parent.mkdir(parents=True, exist_ok=True)
    smaller = {"lossless": True, "method": 6} if file.suffix == ".webp" else None
    figure.savefig(file, dpi=110, pil_kwargs=smaller)
    plt.close(figure)


def training_curve(curve: Sequence[Mapping[str, float]], file: Path, *, title: str) -> None:
    """Losses and mAP over the epochs, side by side; every key but epoch, stage, seconds is drawn."""
    figure, axes = _figure(10, 4, 2)
    names = dict.fromkeys(k for point in curve for k in point if k not in ("epoch", "stage", "seconds"))
    for name in names:
        points = [(p["epoch"], p[name]) for p in curve if name in p]
        axes[0, int(name.startswith("map"))].plot(*zip(*points, strict=True), label=name)
    axes[0, 0].set(title=f"{title}: loss", xlabel="epoch", yscale="symlog")
    axes[0, 1].set(title="tie-aware mAP", xlabel="epoch")
    for axis in axes[0]:
        axis.legend()
        axis.grid(alpha=0.3)
    _save(figure, file)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], file: Path, *, title: str, x: str, y: str
) -> None:
    """Named (x, y) series in one plot: precision–recall curves, mAP over K or over bits."""
    figure, axes = _figure(6, 4.5)
    for name, (xs, ys) in series.items():
        axes[0, 0].plot(xs, ys, label=name, linewidth=1.3)
    axes[0, 0].set(title=title, xlabel=x, ylabel=y)
    axes[0, 0].legend(fontsize=7)
    axes[0, 0].grid(alpha=0.3)
    _save(figure, file)


def gallery(
    rows: Sequence[Sequence[tuple[Any, bool | None]]],
    file: Path,
    *,
    titles: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Pictures in rows, each framed green (right) or red (wrong), not at all for None (the query)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shape = len(rows), len(rows[0])
    figure, axes = plt.subplots(
        *shape, figsize=(1.5 * shape[1], 1.35 * shape[0]), constrained_layout=True, squeeze=False
    )
    for axis_row, row, title in zip(axes, rows, titles, strict=True):
        axis_row[0].set_ylabel(title, fontsize=7)
        for axis, (picture, right) in zip(axis_row, row, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set(visible=right is not None, linewidth=3, color="tab:green" if right else "tab:red")
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name, fontsize=8)
    _save(figure, file)
