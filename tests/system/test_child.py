"""No file beside the videos runs in a process that the product starts."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vhash_sdk
from vhash_sdk.system.child import child_command, child_environment, child_path

PROGRAM = """
import sys
sys.path[:] = {path!r}
from vhash_sdk.cli import main
sys.argv = ["vhash", *{arguments!r}]
main()
"""
"""What the console script is: its own folder, not the current one, is the first of ``sys.path``."""


@functools.cache
def imported() -> frozenset[str]:
    """Every name that a child imports."""
    script = "import sys, vhash_sdk.video.isolation.worker, vhash_sdk.doctor.trials, av, json\n"
    script += "import importlib.util, onnxruntime, encodings.idna\nprint(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in json.loads(found.stdout)} - {"__main__"}
    assert {"json", "numpy", "av", "vhash_sdk", "site"} <= names
    return frozenset(names)


def plant(folder: Path) -> Path:
    """Modules of every name that a child imports, and then some; the file that says which ones ran."""
    more = {"sitecustomize", "usercustomize", "_cuda", "openvino", "tensorrt", "PyNvVideoCodec"}
    ran = folder.parent / "ran.txt"
    for name in imported() | more:
        (folder / f"{name}.py").write_text(
            f"open({str(ran)!r}, 'a').write({name + chr(10)!r})\nraise SystemExit(9)\n"
        )
    return ran


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((Path(vhash_sdk.__file__).parent / "samples" / "chair.mp4").read_bytes())
    return folder


def command(folder: Path, *arguments: str, inherited: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = [entry for entry in sys.path if entry and Path(entry).resolve() != folder.resolve()]
    program = PROGRAM.format(path=path, arguments=list(arguments))
    if inherited is not None:  # as it was when the program started, which had to be clean to get so far
        program = f"import os; os.environ['PYTHONPATH'] = {inherited!r}\n{program}"
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("inherited", [None, "", ":", ".", "./:/nowhere"])
def test_a_folder_of_planted_modules_is_added_and_encoded_and_none_runs(
    videos: Path, inherited: str | None
) -> None:
    ran = plant(videos)
    done = command(videos, "add", "../library", "a.mp4", inherited=inherited)
    assert done.returncode == 0, done.stderr
    if inherited is None:
        done = command(videos, "encode", "a.mp4")
        assert done.returncode == 0 and "a.mp4" in done.stdout, done.stderr
    assert not ran.exists(), ran.read_text()


def test_the_doctor_runs_nothing_of_the_current_directory(videos: Path) -> None:
    ran = plant(videos)
    done = command(videos, "doctor")
    assert not ran.exists(), ran.read_text()
    assert "CPUExecutionProvider" in done.stdout and "the process that tried it ended" not in done.stdout


def test_a_caller_with_the_current_directory_in_its_path_does_not_hand_it_on(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vhash_sdk import Encoder
    from vhash_sdk.doctor.trials import in_process

    with Encoder() as encoder:
        list(encoder.encode_many([videos / "a.mp4"], isolate=True))  # all that is imported when it is needed
        ran = plant(videos)
        monkeypatch.chdir(videos)
        for entry in ("", ".", str(videos), "../videos"):
            monkeypatch.setattr(sys, "path", [entry, *sys.path])
            (result,) = encoder.encode_many(["a.mp4"], isolate=True)
            assert result.error is None
            assert in_process("provider", "CPUExecutionProvider") == "ok"
    assert not ran.exists(), ran.read_text()


def test_what_the_caller_named_in_full_stays_and_the_rest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "lib").mkdir(parents=True)
    there.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PWD", str(here))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("lib", str(there))))
    monkeypatch.setattr(sys, "path", ["", "rel", str(here), str(here / "lib"), str(there), "/usr/lib"])
    assert child_path() == [str(there), "/usr/lib"]
    monkeypatch.setenv("PYTHONPATH", str(here))  # an explicit wish, in full
    assert child_path() == [str(here), str(here / "lib"), str(there), "/usr/lib"]
    monkeypatch.setattr(sys, "path", [*sys.path, there])  # not text: Python ignores it, too
    assert child_path() == [str(here), str(here / "lib"), str(there), "/usr/lib"]


def test_a_package_in_the_current_directory_is_found_but_takes_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("mine")
    assert child_path(["mine"])[-1] == str(tmp_path) and str(tmp_path) not in child_path(["json"])


def test_a_child_has_the_very_package_of_its_caller(tmp_path: Path) -> None:
    (tmp_path / "vhash_sdk").mkdir()  # another version, earlier in the path
    (tmp_path / "vhash_sdk" / "__init__.py").write_text("raise SystemExit(9)")
    (tmp_path / "says.py").write_text("import vhash_sdk\ndef main(): print(vhash_sdk.__file__)")
    told = child_command("says")
    told[told.index("-c") + 2] = json.dumps([str(tmp_path), *child_path(["numpy"])])
    found = subprocess.run(told, env=child_environment(), capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.strip() == str(Path(str(vhash_sdk.__file__)).resolve()), found.stderr


@pytest.mark.slow
def test_rays_actors_run_nothing_of_the_current_directory(videos: Path) -> None:
    pytest.importorskip("ray")
    ran = plant(videos)
    work = """
from vhash_sdk.engines.cluster import Cluster, map_rows
from vhash_sdk.engines.ray import VideoEncoder
(row,) = map_rows(Cluster(actors=1), VideoEncoder, (), [{"path": PATH}])
print(row["error"], row["bits"])
"""
    program = f"import sys\nsys.path[:] = {[entry for entry in sys.path if entry]!r}\n"
    program += work.replace("PATH", repr(str(videos / "a.mp4")))
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=videos, capture_output=True, text=True)
    assert not ran.exists(), ran.read_text()
    assert done.stdout.endswith("None 256\n"), done.stderr
