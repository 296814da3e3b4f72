"""Hashes of others and ours in their tools: PDQ and vPDQ are read and searched, our codes are written.

``reading`` reads the files that PDQ, vPDQ and ``threatexchange`` write, ``bank`` searches what was read with
any engine of ours, ``writing`` writes the codes of a library for those tools. ``extension`` is what
``threatexchange`` and Hasher-Matcher-Actioner load, so that they match videos by our codes.
"""

from __future__ import annotations

from .bank import BankMatch, HashBank
from .reading import BadLine, Hashed, HashFile, Kind, read_hashes
from .writing import FORMS, Form, written

__all__ = [
    "FORMS",
    "BadLine",
    "BankMatch",
    "Form",
    "HashBank",
    "HashFile",
    "Hashed",
    "Kind",
    "read_hashes",
    "written",
]
