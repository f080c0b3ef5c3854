"""A server that speaks the usage and cost APIs of OpenAI and Anthropic as documented, on a free port, and misbehaves on demand.

Data flow: `results` (path → UTC day → results) → pages of buckets with cursors. What the documents forbid is answered with 400: unknown
dimensions, limits beyond the maximum, a missing start. Its clock is given, so that no test depends on today.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
KEY = "sk-admin-0123456789abcdefEXAMPLE"  # made up
DAY = dt.timedelta(days=1)
_MOST = {"1d": 31, "1h": 168, "1m": 1440}
_WIDTH = {"1d": DAY, "1h": dt.timedelta(hours=1), "1m": dt.timedelta(minutes=1)}


@dataclass
class Fault:
    """What happens to one request instead of, or on top of, the right answer.

    Attributes:
        status, headers, body: answer these. delay_seconds: before the first byte. change: the page before it is sent.
        cut_bytes: so many bytes are missing at the end of what Content-Length announces. drip_seconds: between two pieces of the body.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_seconds: float = 0
    change: Callable[[Json], Json] | None = None
    cut_bytes: int = 0
    drip_seconds: float = 0


@dataclass
class ApiServer:
    """The server's state; tests write into it between two pulls.

    Attributes:
        results: path below the base URL → day → results (or Claude Code's records) of that day.
        faults: number of the request (from 1, in `requests`) → what goes wrong with it. requests: what was asked, in order.
        now: the server's clock. page_buckets: the most buckets in a page, whatever was asked for.
    """

    now: dt.datetime
    results: dict[str, dict[dt.date, list[Json]]] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    page_buckets: int = 1440
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, path: str) -> list[dict[str, list[str]]]:
        return [params for asked, params in self.requests if asked == path]

    def next_fails(self, *faults: Fault) -> None:
        """The next requests go wrong, one after the other."""
        self.faults |= {len(self.requests) + number: fault for number, fault in enumerate(faults, start=1)}

    def page(self, path: str, params: dict[str, list[str]]) -> Json:
        if path.endswith("claude_code"):
            return self._records(path, params)
        openai = path.startswith("organization/")
        width = params.get("bucket_width", ["1d"])[0]
        limit = int(params["limit"][0])
        if limit > (180 if path.endswith("costs") else _MOST[width]):
            raise ValueError("limit is too large")
        if openai:
            start, end = (dt.datetime.fromtimestamp(int(params[name][0]), tz=dt.UTC) for name in ("start_time", "end_time"))
        else:
            start, end = (dt.datetime.fromisoformat(params[name][0]) for name in ("starting_at", "ending_at"))
        if "page" in params:
            start = dt.datetime.fromisoformat(params["page"][0].removeprefix("page_"))
        buckets: list[Json] = []
        while start < end and len(buckets) < min(limit, self.page_buckets):
            stop = start + _WIDTH[width]
            found = self.results.get(path, {}).get(start.date(), []) if start.time() == dt.time() else []
            times: Json = {"start_time": int(start.timestamp()), "end_time": int(stop.timestamp())}
            iso = {"starting_at": f"{start:%Y-%m-%dT%H:%M:%SZ}", "ending_at": f"{stop:%Y-%m-%dT%H:%M:%SZ}"}
            buckets.append({"object": "bucket", **times, "results": found} if openai else {**iso, "results": found})
            start = stop
        more = start < end
        return {"data": buckets, "has_more": more, "next_page": f"page_{start.isoformat()}" if more else None}

    def _records(self, path: str, params: dict[str, list[str]]) -> Json:
        day = dt.date.fromisoformat(params["starting_at"][0])
        first = int(params.get("page", ["0"])[0])
        size = min(int(params["limit"][0]), self.page_buckets)
        records = self.results.get(path, {}).get(day, [])
        more = first + size < len(records)
        return {"data": records[first : first + size], "has_more": more, "next_page": str(first + size) if more else None}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        api: ApiServer = self.server.api
        parts = urlsplit(self.path)
        path, params = parts.path.removeprefix("/v1/"), parse_qs(parts.query)
        params = {name.removesuffix("[]"): values for name, values in params.items()}
        api.requests.append((path, params))
        fault = api.faults.get(len(api.requests), Fault())
        time.sleep(fault.delay_seconds)
        if fault.status is not None:
            return self._send(fault.status, fault.body, fault)
        if KEY not in (self.headers.get("x-api-key"), (self.headers.get("Authorization") or "").removeprefix("Bearer ")):
            said = f"Incorrect API key provided: {self.headers.get('Authorization')} {self.headers.get('x-api-key')}"
            return self._send(401, json.dumps({"error": {"type": "invalid_request_error", "message": said}}).encode(), fault)
        try:
            page = api.page(path, params)
        except (KeyError, ValueError) as error:
            return self._send(400, json.dumps({"error": {"type": "invalid_request_error", "message": str(error)}}).encode(), fault)
        return self._send(200, json.dumps(fault.change(page) if fault.change else page).encode(), fault)

    def _send(self, status: int, body: bytes, fault: Fault) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client has given up, as it should
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **fault.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if fault.drip_seconds:
                for piece in (body[at : at + 20] for at in range(0, len(body), 20)):
                    self.wfile.write(piece)
                    time.sleep(fault.drip_seconds)
            else:
                self.wfile.write(body[: len(body) - fault.cut_bytes])
            if fault.cut_bytes:
                self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.api.now, usegmt=True)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextlib.contextmanager
def serving(now: dt.datetime) -> Iterator[ApiServer]:
    """A running server; requests are answered one at a time per connection."""
    api = ApiServer(now)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.api = api  # type: ignore[attr-defined]
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
