"""A model hub on this machine: the part of the Hugging Face Hub's HTTP interface that downloads use."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories by name, each a folder a revision; ``requests`` are the ones that came."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, Path]] = {}
        self.requests: list[str] = []
        self.endpoint = ""

    def put(self, repo: str, folder: Path, *names: str) -> str:
        """Serve a folder as a commit of a repository, under these names as well; returns the commit."""
        state = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
        commit = hashlib.sha1(repr(state).encode()).hexdigest()
        revisions = self.repos.setdefault(repo, {})
        for name in (commit, "main", *names):
            revisions[name] = folder
        return commit

    def commit(self, repo: str, revision: str) -> str:
        folder = self.repos[repo][revision]
        return next(name for name, other in self.repos[repo].items() if other == folder and len(name) == 40)


class _Answers(BaseHTTPRequestHandler):
    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^/]+)", path)
        found = info or file
        if found is None or found[1] not in self.hub.repos:
            return self._fail("RepoNotFound")
        repo, revision = found[1], (info[3] or "main") if info else found[2]
        if revision not in self.hub.repos[repo]:
            return self._fail("RevisionNotFound")
        folder, commit = self.hub.repos[repo][revision], self.hub.commit(repo, revision)
        if info:
            return self._json(info[2], repo, folder, commit, body)
        target = folder / found[3]
        if not target.is_file():
            return self._fail("EntryNotFound")
        content = target.read_bytes()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return self._send(200, content, {**headers, "Content-Type": "application/octet-stream"}, body)

    def _json(self, kind: str, repo: str, folder: Path, commit: str, body: bool) -> None:
        files = sorted(folder.iterdir())
        answer: object = {"id": repo, "sha": commit, "siblings": [{"rfilename": path.name} for path in files]}
        if kind == "tree":
            answer = [
                {
                    "type": "file", "path": path.name, "size": path.stat().st_size,
                    "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
                }
                for path in files
            ]  # fmt: skip
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, body)

    def _fail(self, code: str) -> None:
        self._send(404, b"{}", {"X-Error-Code": code, "X-Error-Message": code}, self.command != "HEAD")

    def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub that answers at ``hub.endpoint`` until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
