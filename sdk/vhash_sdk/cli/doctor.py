"""``vhash doctor``: what works on this machine."""

from __future__ import annotations

from dataclasses import asdict

from .output import ExitCode, Json, Output, safe

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "absent": ("–", "dim"), "failed": ("✗", "red")}


def doctor(*, json: Json = False) -> None:
    """Find out what works here, by trying it: engine, decoder, backends, GPU, models.

    ✓ works, ! works but could do better, – optional and not here, ✗ needed and broken (exit code 3).
    Each backend really runs a tiny network, and each model encodes a synthetic clip whose code is known.

    [bold]Examples[/bold]

      vhash doctor

      vhash doctor --json
    """
    with Output("doctor", json=json) as out:
        from rich.table import Table
        from rich.text import Text

        from ..doctor import diagnose

        with out.progress("looking", None) as step:
            checks = []
            for check in diagnose():
                checks.append(check)
                step()
        table = Table(box=None, show_header=False, pad_edge=False)
        section = ""
        for check in checks:
            mark, style = _MARKS[check.status]
            detail = Text(safe(check.detail))
            if check.remedy:
                detail.append(f"\n→ {safe(check.remedy)}", style="bold")
            title = check.section if check.section != section else ""
            section = check.section
            table.add_row(Text(title, style="bold"), Text(mark, style=style), Text(check.name), detail)
        out.table(table)
        works = not any(check.status == "failed" for check in checks)
        out.document(works=works, checks=[asdict(check) for check in checks])
        out.end(ExitCode.DONE if works else ExitCode.NOTHING_DONE)
