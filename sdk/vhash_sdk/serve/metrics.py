"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        names = ("route", "method", "status")
        self._requests = Counter("vhash_requests", "Requests answered", names, registry=self.registry)
        self._seconds = Histogram(
            "vhash_request_seconds", "Time to answer", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self.batch = Histogram(
            "vhash_lookup_batch",
            "Codes that were looked up at once",
            buckets=_BATCHES,
            registry=self.registry,
        )
        self.lookups = Counter("vhash_lookups", "Bare codes looked up", registry=self.registry)
        self.videos = Gauge("vhash_videos", "Videos of the library", registry=self.registry)
        self.jobs = Gauge("vhash_jobs", "Jobs by their state", ("state",), registry=self.registry)
        self._lookup = self._seconds.labels("/v1/lookup"), self._requests.labels("/v1/lookup", "POST", "200")

    def request(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        """Count a request by its route, never by its path, of which anybody can make any number."""
        if scope["path"] == "/v1/lookup" and scope["method"] == "POST":
            self.looked_up(status, seconds)
            return
        route = scope.get("route")
        name = getattr(route, "path", None) or "other"
        self._requests.labels(name, scope["method"] if route else "other", str(status)).inc()
        self._seconds.labels(name).observe(seconds)

    def looked_up(self, status: int, seconds: float) -> None:
        """Count a look-up of bare codes."""
        self._lookup[0].observe(seconds)
        if status == 200:
            self._lookup[1].inc()
        else:
            self._requests.labels("/v1/lookup", "POST", str(status)).inc()

    def text(self) -> bytes:
        """In the format of Prometheus."""
        return generate_latest(self.registry)
