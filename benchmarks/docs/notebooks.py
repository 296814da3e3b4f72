"""Runs the notebooks of the tutorials as they stand, in an empty folder, and keeps what they show.

python -m benchmarks.docs.notebooks      # after a change of one; needs the extra `docs`, and `vhash` on the PATH
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from ..common import ROOT

TUTORIALS = ROOT / "docs" / "tutorials"
MOST_BYTES = 40_000
"""Of one file: it travels with the sources, and each change of its pictures for ever."""


def run(notebook: Path, place: Path) -> Any:
    """A notebook with what its cells answer; an error in one of them is raised.

    Args:
        notebook: the file.
        place: the folder to run in.
    """
    document = nbformat.read(notebook, as_version=4)
    kernel = KernelManager(kernel_name="python3", transport="ipc", ip=str(place / "kernel"))  # no ports
    resources = {"metadata": {"path": str(place)}}
    NotebookClient(document, km=kernel, timeout=600, resources=resources).execute()
    for cell in document.cells:
        cell.metadata.clear()  # when each was run
        cell.pop("execution_count", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    kept = {"kernelspec": document.metadata["kernelspec"], "language_info": {"name": "python"}}
    document.metadata = kept  # not which Python it was
    return document


def main() -> None:
    """Run all of them, and write them anew."""
    for notebook in sorted(TUTORIALS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as place:
            text = nbformat.writes(run(notebook, Path(place))) + "\n"
        if len(text.encode()) > MOST_BYTES:
            sys.exit(
                f"{notebook}: {len(text.encode()):,} bytes; show smaller pictures, at most {MOST_BYTES:,}"
            )
        notebook.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
