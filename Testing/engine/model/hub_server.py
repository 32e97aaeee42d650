"""A small server that answers like the Hugging Face hub: one repository, one file, its contents on a second address."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Request:
    method: str
    host: str
    path: str
    byte_range: str | None
    authorization: str | None


@dataclass
class HubServer:
    """Hub and its storage on two ports, as the real ones are two hosts.

    `drops` holds how many bytes the storage sends in its next answers before it cuts the connection. A status other
    than 200 in `hub_status` or `storage_status` is answered with `error_code` as the hub's own error header.
    """

    repository: str
    filename: str
    content: bytes
    stated_sha256: str = ""
    drops: list[int] = field(default_factory=list)
    hub_status: int = 200
    storage_status: int = 200
    error_code: str | None = None
    ignores_ranges: bool = False
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stated_sha256 = self.stated_sha256 or hashlib.sha256(self.content).hexdigest()
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, role)) for role in ("hub", "storage")]
        self.endpoint, self.storage = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> HubServer:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def downloads(self) -> list[Request]:
        return [request for request in self.requests if request.host == "storage"]


def _handler(hub: HubServer, role: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Silence."""

        def _answer(self) -> None:
            headers = self.headers
            hub.requests.append(
                Request(self.command, role, self.path, headers.get("Range"), headers.get("Authorization"))
            )
            if role == "storage":
                self._send_content()
            elif hub.hub_status != 200:
                self._send_status(hub.hub_status)
            elif self.path in {f"/{hub.repository}/resolve/{revision}/{hub.filename}" for revision in ("main", COMMIT)}:
                self._send_facts()
            else:
                hub.error_code = "EntryNotFound"
                self._send_status(404)

        def _send_status(self, status: int) -> None:
            self.send_response(status)
            if hub.error_code:
                self.send_header("X-Error-Code", hub.error_code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send_facts(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{hub.storage}/blob")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("X-Linked-Etag", f'"{hub.stated_sha256}"')
            self.send_header("X-Linked-Size", str(len(hub.content)))
            self.send_header("ETag", '"not-the-one"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send_content(self) -> None:
            if hub.storage_status != 200:
                self._send_status(hub.storage_status)
                return
            wanted = self.headers.get("Range")
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not hub.ignores_ranges else 0
            body = hub.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(hub.content) - 1}/{len(hub.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if hub.drops:
                self.wfile.write(body[: hub.drops.pop(0)])
                self.wfile.flush()
                self.close_connection = True
            else:
                self.wfile.write(body)

    return Handler
