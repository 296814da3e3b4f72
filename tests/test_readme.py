"""The README and the pages of docs/ say what is so: figures, examples, links, names of files and commands."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import vhash_sdk
from benchmarks.common import ROOT, load
from benchmarks.docs.tables import PAGES, README, TABLES, render
from vhash_sdk.cli.demo import SAMPLES
from vhash_sdk.cli.variants import VARIANTS

SDK = Path(vhash_sdk.__file__).parent
TEXT = README.read_text("utf-8")
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
WRITTEN = (
    *PAGES,
    *TUTORIALS,
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "docs" / "reference" / "python.md",
)
REPORTS = sorted((ROOT / "training").glob("REPORT*.md"))
RUN = ("README.md", "docs/library.md", "docs/finding.md")
"""The pages whose Python examples run here; what the others show needs a GPU, a server or a cluster."""

every_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with the files that the examples name."""
    for name, sample in (("a", "bunny"), ("b", "chair"), ("query", "chair"), ("videos/c", "legs")):
        file = tmp_path / f"{name}.mp4"
        file.parent.mkdir(exist_ok=True)
        shutil.copyfile(SAMPLES / f"{sample}.mp4", file)
    (tmp_path / "plan.csv").write_text("group,action,bytes,path\n")
    for name in ("known.csv", "uploads.txt"):
        (tmp_path / name).write_text("f8" * 32 + ",100,bridge.jpg\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_figure_comes_from_a_result_file(page: Path) -> None:
    if page.name == "architecture.md" and not (ROOT / "sdk").is_dir():
        pytest.skip("drawn from the sources, which are not beside an installed wheel")
    assert render(page.read_text("utf-8")) == page.read_text("utf-8"), "run: python -m benchmarks.docs.tables"


def test_every_table_is_shown_once() -> None:
    shown = re.findall(r"<!-- table: ([\w-]+) -->", "".join(page.read_text("utf-8") for page in PAGES))
    assert sorted(shown) == sorted(TABLES)


def test_times_as_fast_as_faiss() -> None:
    found = re.search(r"up to (\d+) times as fast as faiss", TEXT)
    assert found is not None
    ratios = [
        min(row["min"] for name, row in case["nanoseconds"].items() if name.startswith("faiss"))
        / case["nanoseconds"]["vhash"]["min"]
        for case in load("search")["knn"]
    ]
    assert int(found[1]) == int(max(ratios))


def test_ci_finds_the_test_command() -> None:
    found = re.findall(r"<!-- tests -->\n```sh\n(.*)\n```\n<!-- /tests -->", TEXT)
    assert len(found) == 1 and found[0].endswith("python -m pytest")


def test_the_demo_is_shown_with_its_clips_and_changes() -> None:
    shown = re.search(r"<!-- demo -->\n```text\n(.*?)```\n<!-- /demo -->", TEXT, re.DOTALL)
    assert shown is not None
    rows = [line.split("  ") for line in shown[1].splitlines() if "✓" in line and "copy" not in line]
    assert [row[1] for row in rows if row[0] == ""] == [variant.name for variant in VARIANTS]
    clips = sorted(path.stem for path in SAMPLES.glob("*.mp4"))
    assert f"copy {' '.join(clips)}" in " ".join(shown[1].split())
    right = len(clips) * len(VARIANTS)
    assert f"{right} of {right} copies found their clip" in shown[1]


def test_the_first_example_says_which_video_is_near(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(blocks(README, "python")[0], {})
    assert capsys.readouterr().out == "[[1]]\n"


@pytest.mark.parametrize("page", RUN)
def test_examples_in_python_run(page: str, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = blocks(ROOT / page, "python")
    assert examples
    for example in examples:
        exec(example, {})
    assert capsys.readouterr().out


@every_page
def test_examples_in_python_import_what_there_is(page: Path) -> None:
    for example in blocks(page, "python"):
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_examples_on_the_command_line_run(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks(README, "sh") for line in block.splitlines() if "holidays" in line]
    assert [shlex.split(line)[1] for line in lines] == ["add", "search", "dedup", "serve"]
    lines.pop()  # serves until it is stopped; tests/serve and tests/app start it
    from vhash_sdk.cli.app import app

    for line in lines:
        with pytest.raises(SystemExit) as ended:
            app(shlex.split(line, comments=True)[1:])
        assert ended.value.code == 0, capsys.readouterr()
    assert "c.mp4" in capsys.readouterr().out and (videos / "duplicates.html").is_file()


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every ``vhash …`` in a page's blocks of shell commands."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "vhash" in words:
                yield words[words.index("vhash") + 1 :]


@every_page
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    import typer.main

    from vhash_sdk.cli.app import app

    group = typer.main.get_command(app)
    if page == ROOT / "docs" / "cli.md":
        assert set(re.findall(r"^\| `vhash ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)) <= set(
            group.commands
        )  # type: ignore[attr-defined]
    for words in commands(page):
        command = group.commands[words[0]]  # type: ignore[attr-defined]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        assert {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= known, words


def test_the_c_example_is_an_excerpt_of_a_program_that_is_tested() -> None:
    program = [line.strip() for line in (ROOT / "csrc/examples/nearest.c").read_text("utf-8").splitlines()]
    for page in (README, ROOT / "docs" / "c_api.md"):
        (excerpt,) = blocks(page, "c")
        places = [program.index(line.strip()) for line in excerpt.splitlines()]
        assert places == sorted(places)


def anchors(page: Path) -> set[str]:
    """What a link may name in a page: its headings, as GitHub spells them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKED = [*WRITTEN, *REPORTS, *(SDK / "models").glob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
LINK = re.compile(
    r"\]\(([^)\s]+)(?: \\?\"[^\"]*\")?\)"  # in brackets, also with a title
    r"|^\[[^\]]+\]: (\S+)"  # by reference
    r"|(?:href|src)=\\?\"([^\"\\]+)",  # of HTML
    re.MULTILINE,
)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links to files and to headings in them, not those to other sites."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in ("".join(found) for found in LINK.findall(text)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    top = {path.name for path in ROOT.iterdir() if path.is_dir()} | {path.name for path in SDK.iterdir()}
    for name in re.findall(r"`([\w.]+/[\w./-]*)`", page.read_text("utf-8")):
        if name.split("/")[0] in top and "NAME" not in name:
            assert any((base / name).exists() for base in (ROOT, SDK, ROOT / "benchmarks")), name


def test_every_page_is_in_the_index() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in TEXT


def texts() -> Iterator[tuple[Path, str]]:
    """Everything that may tell a reader what to run."""
    folders = ("benchmarks", "export", "sdk", "tests", "training")
    for path in (*WRITTEN, *REPORTS, *(file for one in folders for file in (ROOT / one).rglob("*.*"))):
        if path.suffix in (".py", ".md", ".json") and "data" not in path.parts:
            yield path, path.read_text("utf-8")


def test_programs_that_are_named_exist() -> None:
    ours = ("benchmarks", "export", "tests", "training")
    for path, text in texts():
        for module in re.findall(rf"python -m ((?:{'|'.join(ours)})[\w.]*\w)(?![\w.]*{{)", text):
            place = ROOT / module.replace(".", "/")
            started = place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
            assert started or "NAME" in module, f"{path.relative_to(ROOT)}: python -m {module}"
        for script in re.findall(rf"python ((?:{'|'.join(ours)})/[\w/]+\.py)", text):
            assert (ROOT / script).is_file(), f"{path.relative_to(ROOT)}: python {script}"
            assert not script.startswith("benchmarks/"), f"{path.relative_to(ROOT)}: start it by python -m"
