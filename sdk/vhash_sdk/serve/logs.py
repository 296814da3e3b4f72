"""What the server writes down: one line of JSON for each request, and for what fails."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Mapping
from typing import Any

LOG = logging.getLogger("vhash_sdk.serve")
_QUIET = ("/livez", "/readyz", "/metrics", "/static/", "/v1/lookup")


class JsonLines(logging.Formatter):
    """Each record as one line of JSON: nothing that a client sends can begin another one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(getattr(record, "facts", {}))
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str)


def log_request(number: str, scope: Mapping[str, Any], status: int, seconds: float) -> None:
    """Write down that a request was answered; without its query, which may hold paths."""
    level = logging.DEBUG if scope["path"].startswith(_QUIET) and status < 400 else logging.INFO
    if LOG.isEnabledFor(level):
        identity = scope["state"].get("identity")
        facts = {
            "request": number,
            "method": scope["method"],
            "path": scope["path"][:500],
            "status": status or None,
            "ms": round(1000 * seconds, 2),
            "user": None if identity is None else identity.user,
            "client": (scope.get("client") or ("unknown",))[0],
        }
        LOG.log(level, "request", extra={"facts": facts})


def log_failure(number: str, scope: Mapping[str, Any], error: BaseException) -> None:
    """Write down an error that nobody expected."""
    facts = {"request": number, "method": scope["method"], "path": scope["path"][:500]}
    LOG.error("failed", exc_info=error, extra={"facts": facts})


def log(event: str, level: int = logging.INFO, **facts: Any) -> None:
    """Write down something else."""
    LOG.log(level, event, extra={"facts": facts})
