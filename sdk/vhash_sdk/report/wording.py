"""Numbers as people read them."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things.

    >>> counted(1, "video"), counted(1200, "video"), counted(0, "copy", "copies")
    ('1 video', '1,200 videos', '0 copies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def megabytes(count: int) -> str:
    """Bytes for people.

    >>> megabytes(900), megabytes(12_345_678)
    ('900 bytes', '12.3 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    value, units = count / 1000, iter(("KB", "MB", "GB", "TB"))
    unit = next(units)
    for larger in units:
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
