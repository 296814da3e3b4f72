"""``python -m vhash_sdk.doctor``: write the models' reference codes anew, after a change of models."""

from __future__ import annotations

from .references import write

if __name__ == "__main__":
    write()
