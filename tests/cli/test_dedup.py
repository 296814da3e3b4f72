"""``vhash dedup`` as a user meets it: text, CSV, JSON, plan, report, judgements."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_cli import run, run_json
from vhash_sdk import Library
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS
from vhash_sdk.library.judgements import FILE_KIND
from vhash_sdk.matching.verdict import Verdict
from vhash_sdk.models import zoo

pytestmark = pytest.mark.usefixtures("remembered")

STRANGE = os.fsdecode(b"zz $(touch ruined)\n'; touch ruined\xff #.mp4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    half = next(variant for variant in VARIANTS if variant.name == "half size")
    for name in ("chair", "glass"):
        shutil.copy(SAMPLES / f"{name}.mp4", folder / f"{name}.mp4")
    half.write(SAMPLES / "chair.mp4", folder / "small.mp4")
    shutil.copy(SAMPLES / "chair.mp4", folder / STRANGE)
    return folder


@pytest.fixture(scope="module")
def lib(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    lib = tmp_path_factory.mktemp("lib") / "library"
    run("add", lib, folder)
    yield lib


def obey(plan: Path) -> str:
    """Run a plan with every removal allowed; what it says on standard error."""
    plan.write_text(plan.read_text().replace("\n# remove ", "\nremove "))
    return subprocess.run(["bash", plan], cwd=plan.parent, check=True, capture_output=True, text=True).stderr


def test_groups_in_text_csv_and_json(lib: Path, folder: Path) -> None:
    text = run("dedup", lib, "--radius", "40").stdout
    assert "2 duplicates" in text and "glass" not in text and r"\n" in text
    document = run_json("dedup", lib, "--radius", "40")
    (group,) = document["groups"]
    assert group["representative"] == str(folder / "chair.mp4") and document["keep"] == "longest"
    same, small = group["members"]
    assert base64.b64decode(same["path_base64"]) == os.fsencode(folder / STRANGE) and same["distance"] == 0
    assert small["path"] == str(folder / "small.mp4") and 0 < small["distance"] <= 40
    assert (
        document["bytes"]
        == group["bytes"]
        == sum((folder / n).stat().st_size for n in (STRANGE, "small.mp4"))
    )
    rows = list(csv.DictReader(io.StringIO(run("dedup", lib, "--radius", "40", "--csv").stdout)))
    assert [row["action"] for row in rows] == ["keep", "duplicate", "duplicate"]
    assert run_json("dedup", lib, "--radius", "0")["groups"][0]["members"] == [same]
    assert "radius=300: expected 0 to 256 bits" in run("dedup", lib, "--radius", "300", code=3).stderr


def test_the_default_threshold_is_that_of_the_library(lib: Path) -> None:
    table = zoo.load().calibration
    assert table is not None
    usual = run_json("dedup", lib)["threshold"]
    assert usual["radius"] == Verdict.at(zoo.load().spec, table, 1e-4).candidates(4) and usual["pairs"] == 6
    assert "fewer than one match by chance." in run("dedup", lib).stderr
    rates = [
        run_json("dedup", lib, "--fmr", rate)["threshold"]["false_match_rate"] for rate in ("1e-2", "2e-5")
    ]
    assert rates[0]["estimate"] >= usual["false_match_rate"]["estimate"] >= rates[1]["estimate"]


def test_a_plan_does_nothing_until_it_is_edited(lib: Path, folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.sh"
    run("dedup", lib, "--radius", "40", "--plan", plan)
    script = plan.read_text()
    assert len([line for line in script.splitlines() if line.startswith("# remove ")]) == 2
    copy = tmp_path / "videos"
    shutil.copytree(folder, copy)
    plan.write_text(script.replace(str(folder), str(copy)))
    subprocess.run(["bash", plan], cwd=tmp_path, check=True)
    assert sorted(os.listdir(copy)) == sorted(os.listdir(folder)) and not (tmp_path / "ruined").exists()
    obey(plan)
    assert sorted(os.listdir(copy)) == ["chair.mp4", "glass.mp4"] and not (tmp_path / "ruined").exists()
    refused = run("dedup", lib, "--plan", tmp_path / "plan.json", code=3)
    assert "a table (.csv) or a script (.sh)" in refused.stderr and not (tmp_path / "plan.json").exists()
    run("dedup", lib, "--radius", "40", "--plan", tmp_path / "plan.csv")
    with open(tmp_path / "plan.csv", newline="") as file:
        assert [row["action"] for row in csv.DictReader(file)] == ["keep", "duplicate", "duplicate"]


def test_what_a_report_exported_is_read_and_kept(lib: Path, folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "library"
    shutil.copytree(lib, own)
    page = tmp_path / "duplicates.html"
    assert "is written" in run("dedup", own, "--radius", "40", "--report", page).stderr
    assert page.stat().st_size > 20_000
    with Library(own, create=False) as library:
        chair, small = (entry for n in ("chair", "small") if (entry := library.get(folder / f"{n}.mp4")))
    ends = {
        end: {"path": entry.path, "digest": entry.digest.hex()} for end, entry in (("a", chair), ("b", small))
    }
    said = tmp_path / "judgements.json"
    for judgement, duplicates in (("not a match", 1), ("match", 2)):
        pairs = [{**ends, "judgement": judgement}]
        said.write_text(json.dumps({"kind": FILE_KIND, "schema": 1, "pairs": pairs}))
        run("dedup", own, "--radius", "40", "--not-a-match", said)
        (group,) = run_json("dedup", own, "--radius", "40")["groups"]
        assert len(group["members"]) == duplicates
    said.write_text("[]")
    assert "no file of judgements" in run("dedup", own, "--not-a-match", said, code=3).stderr


def test_wrong_thresholds_say_what_to_do(lib: Path, tmp_path: Path) -> None:
    run("dedup", lib, "--radius", "-1", code=2)
    run("dedup", lib, "--keep", "newest", code=2)
    run("dedup", tmp_path / "absent", "--radius", "4", code=3)
    assert "calibration" in run("dedup", lib, "--calibration", tmp_path / "absent", code=3).stderr
