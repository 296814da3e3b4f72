"""Data for a GPU machine: what was packed comes back, and what is missing is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import carry


def test_pieces_come_together_and_what_is_missing_is_named(tmp_path: Path) -> None:
    source = tmp_path / "data"
    (source / "deep").mkdir(parents=True)
    content = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    (source / "deep" / "a").write_bytes(content)
    pieces = carry.pack([source], tmp_path / "pieces", mib=2000 / 2**20)
    assert len(pieces) > 3 and all((piece / "piece").stat().st_size <= 2000 for piece in pieces)
    carry.unpack(tmp_path / "out", tmp_path / "pieces")
    assert (tmp_path / "out" / "data" / "deep" / "a").read_bytes() == content
    (pieces[0] / "piece").unlink()
    (pieces[1] / "piece").write_bytes(b"cut off")
    (pieces[2] / "about.json").unlink()
    with pytest.raises(ValueError, match="1, 2, 3 of"):
        carry.unpack(tmp_path / "other", tmp_path / "pieces")
    assert not (tmp_path / "other").exists()
    (source / "deep" / "a").write_bytes(content[::-1])
    again = carry.pack([source], tmp_path / "again", mib=2000 / 2**20)
    carry.pack([source / "deep" / "a"], tmp_path / "fewer", mib=2000 / 2**20)
    (tmp_path / "fewer" / "1").replace(again[0].with_name("old"))
    with pytest.raises(ValueError, match="different packings"):
        carry.unpack(tmp_path / "other", tmp_path / "again")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ValueError, match="all of"):
        carry.unpack(tmp_path / "other", tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="not there"):
        carry.pack([tmp_path / "no"], tmp_path / "pieces")
