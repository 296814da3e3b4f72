"""What the site is made of: the repository's own pages at their own places, so that links hold on both.

Notebooks are shown with the answers that are kept in them; ``python -m benchmarks.docs.notebooks`` runs them.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "*.md",
    "docs/**/*.md",
    "training/*.md",
    "benchmarks/*.md",
    "benchmarks/results/*.*",
    "training/report/*.*",
)
PICTURES = (".md", ".webp", ".svg", ".png")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace what lies in docs/ by the pages of the repository, and keep what the theme brings."""
    ours = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern)) if path.suffix in PICTURES]
    theirs = [file for file in files if not file.src_uri.endswith((".md", ".py", ".ipynb"))]
    made = [File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)) for path in ours]
    notebooks = [page_of(path, config) for path in sorted(ROOT.glob("docs/**/*.ipynb"))]
    return Files([*theirs, *made, *notebooks])


def page_of(notebook: Path, config: MkDocsConfig) -> File:
    """A notebook as a page of text, with the pictures in it."""
    kept = {"ExtractOutputPreprocessor": {"enabled": False}}  # in the page, not in files beside it
    exporter = MarkdownExporter(config=Config(kept))
    text, _ = exporter.from_notebook_node(nbformat.read(notebook, as_version=4))
    return File.generated(config, str(notebook.relative_to(ROOT).with_suffix(".md")), content=text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to a notebook lead to its page."""
    return re.sub(r"(\]\([\w./-]+)\.ipynb\)", r"\1.md)", markdown)
