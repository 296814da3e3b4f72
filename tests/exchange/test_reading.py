"""Files of PDQ and vPDQ hashes: every form that their tools write, and lines that are none."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vhash_sdk.exchange import read_hashes, reading
from vhash_sdk.exchange.reading import HashFile

A, B = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22", "62" * 32
VIDEO = json.dumps([f"{A},100,0.0", f"{B},40,1.5"])


def read(folder: Path, text: str | bytes, name: str = "hashes.txt") -> HashFile:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_hashes(path)


def as_csv(*rows: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize(
    ("line", "quality", "label"),
    [
        (A, 100, ""),
        (A.upper(), 100, ""),
        (f"{A},87,photos/bridge, old.jpg", 87, "photos/bridge, old.jpg"),
        (f"pdq {A}", 100, ""),
        (f"pdq {A} 'Sample Data' POSITIVE_CLASS", 100, "'Sample Data' POSITIVE_CLASS"),
        (json.dumps({"pdq": A}), 100, ""),
        (json.dumps({"hash": A, "quality": 61, "path": "a.jpg"}), 61, "a.jpg"),
        (json.dumps({"signal_type": "pdq", "signal_str": A, "tags": "x y"}), 100, "x y"),
    ],
)
def test_a_pdq_hash_in_every_form(tmp_path: Path, line: str, quality: int, label: str) -> None:
    found = read(tmp_path, f"\n{line}\n")
    assert found.bad == []
    (each,) = found.hashes
    assert (each.kind, each.quality.tolist(), each.label, each.line) == ("pdq", [quality], label, 2)
    assert each.codes.tobytes() == bytes.fromhex(A)


@pytest.mark.parametrize(
    "text",
    [
        VIDEO,
        f"vpdq {VIDEO} 'Sample Data' INVESTIGATION_SEED",
        json.dumps({"vpdq": VIDEO}),
        json.dumps({"vpdq": json.loads(VIDEO)}),
        as_csv(["signal_type", "signal_str", "collab", "category", "tags"], ["vpdq", VIDEO, "c", "", ""]),
        json.dumps(json.loads(VIDEO), indent=2),
        f"0,100,{A},0.000\n45,40,{B},1.500\n",
        json.dumps({"0": {"quality": 100, "hash": A, "timestamp": 0}, "9": {"quality": 40, "hash": B}}),
        json.dumps({"0": {"quality": 100, "hash": A}, "9": {"quality": 40, "hash": B}}, indent=1),
    ],
)
def test_a_vpdq_hash_in_every_form(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert found.bad == []
    (each,) = found.hashes
    assert (each.kind, each.quality.tolist()) == ("vpdq", [100, 40])
    assert each.codes.tobytes() == bytes.fromhex(A + B)


def test_the_csv_of_threatexchange_has_many_kinds(tmp_path: Path) -> None:
    head = ["signal_type", "signal_str", "collab", "category", "tags"]
    rows = [["pdq", A, "mine", "POSITIVE_CLASS", "a b"], ["video_md5", "0" * 32, "mine", "", ""]]
    found = read(tmp_path, as_csv(head, *rows, ["pdq", "0" * 63, "", "", ""], ["vpdq", VIDEO, "", "", "t"]))
    assert [(each.kind, each.label, each.line) for each in found.hashes] == [
        ("pdq", "a b", 2),
        ("vpdq", "t", 5),
    ]
    assert found.others == {"video_md5": 1}
    assert [bad.line for bad in found.bad] == [4] and "64 hex digits" in found.bad[0].message


def test_the_csv_of_the_test_data_of_pdq(tmp_path: Path) -> None:
    found = read(tmp_path, f"FilePath,Hash\r\n../misc-images/b.jpg,{A}\r\n")
    assert [(each.kind, each.label) for each in found.hashes] == [("pdq", "../misc-images/b.jpg")]


def test_other_kinds_of_signals_are_counted(tmp_path: Path) -> None:
    lines = ["video_md5 " + "0" * 32, "vhash vh1:01234567:16:ffff", json.dumps({"vhash": "x"}), f"pdq {A}"]
    found = read(tmp_path, "\n".join(lines))
    assert found.others == {"video_md5": 1, "vhash": 2} and len(found.hashes) == 1 and found.bad == []


HOSTILE = [
    "not a hash",
    A[:-1],
    A + "0",
    f"{A},101",
    f"{A},-1",
    '{"pdq": 5}',
    '{"pdq": "' + A + '", "pdq": "' + B + '"}',
    '{"hash": "' + A + '", "quality": 1e400}',
    "[" * 5000,
    "[]",
    '["' + A + ',100,nan"]',
    '["' + A + ',100"]',
    "{}",
    '{"signal_type": 7, "signal_str": "x"}',
    f'"{A}',
    "vpdq [",
    "vpdq",
    "\x00\x1b[2J",
    "pdq \ud800".encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_line_that_is_none_is_told_and_the_rest_goes_on(tmp_path: Path, line: str) -> None:
    data = b"\n".join([A.encode(), line.encode("utf-8", "surrogateescape"), B.encode()])
    found = read(tmp_path, data)
    assert [each.codes.tobytes().hex() for each in found.hashes] == [A, B]
    assert [bad.line for bad in found.bad] == [2] and found.bad[0].message


def test_a_frame_that_is_none_does_not_lose_the_video(tmp_path: Path) -> None:
    found = read(tmp_path, f"0,100,{A},0.0\n1,100,{A[:-1]},1.0\nnonsense\n3,99,{B},3.0\n")
    assert [len(each.codes) for each in found.hashes] == [2]
    assert [bad.line for bad in found.bad] == [2, 3]


def test_a_line_without_end_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 1000)
    found = read(tmp_path, f"{A}\n{'0' * 5000}\n{B}")
    assert len(found.hashes) == 2 and [bad.line for bad in found.bad] == [2]
    assert "1,000 bytes" in found.bad[0].message
    torn = read(tmp_path, "[\n" + f'"{A},100,0.0",\n' * 20 + "]")
    assert torn.hashes == [] and "one JSON document" in torn.bad[0].message


def test_names_that_are_not_utf8_and_a_mark_at_the_start(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbf" + A.encode() + b",99,caf\xe9.jpg\r\n")
    (each,) = found.hashes
    assert each.label == "caf\udce9.jpg" and found.bad == []


def test_an_empty_file_and_one_that_is_not_there(tmp_path: Path) -> None:
    found = read(tmp_path, b"\n \n")
    assert found.hashes == [] and found.bad == []
    with pytest.raises(FileNotFoundError):
        read_hashes(tmp_path / "none.txt")


@settings(deadline=None)  # nothing is timed
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_told(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(content)
    found = read_hashes(path)
    assert all(bad.line >= 1 and bad.message for bad in found.bad)
    assert all(each.codes.dtype == np.uint8 and each.codes.shape[1] == 32 for each in found.hashes)
