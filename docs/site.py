"""What the site is made of: the repository's own pages at their own places, so that links hold on both."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

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
    theirs = [file for file in files if not file.src_uri.endswith((".md", ".py"))]
    made = [File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)) for path in ours]
    return Files([*theirs, *made])
