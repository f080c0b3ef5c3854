"""One request to a usage or cost API at a time: paced, with a deadline, tried again where that can help, and silent about the key.

Data flow: path and parameters → httpx → the answer's bytes, or one of

    ProviderUnavailable   retryable: no answer in time, 429, 5xx, an answer that breaks off; after `tries` tries, or at once when the
                          provider asks for a longer pause than `longest_wait_seconds`
    ProviderRefused       fatal: 401, 403 (the key), a redirect; RequestRefused: any other 4xx

No error, log line or traceback holds a header: exceptions of httpx are not chained, and a provider's own text is shown only where the
request and not the key was refused, and then with the key taken out.
Run alone: costlake pull openai-usage
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from costlake.errors import CostlakeError, ProviderRefused, ProviderUnavailable, RequestRefused

_ERROR_BYTES = 16 << 10
_BUSY = frozenset({408, 409, 425, 429})
_SLUG = re.compile(r"[a-z][a-z0-9_.-]{1,60}")


@dataclass(frozen=True)
class Manners:
    """How patient the client is and how often it may ask.

    Attributes:
        connect_seconds, read_seconds: until the connection stands, and between two bytes. page_seconds: for a whole page.
        tries: of one page. first_wait_seconds: before the second try, doubled each time; longest_wait_seconds: of any pause.
        pause_seconds: between two requests. Anthropic documents one request a minute as sustained use and bursts while paging; OpenAI
            documents none for these endpoints and says when it is too much (429 with Retry-After).
        page_bytes: a larger answer is no page.
        sleep: how it waits.
    """

    connect_seconds: float = 10
    read_seconds: float = 60
    page_seconds: float = 300
    tries: int = 5
    first_wait_seconds: float = 1
    longest_wait_seconds: float = 120
    pause_seconds: float = 0.5
    page_bytes: int = 64 << 20
    sleep: Callable[[float], None] = time.sleep


class _Busy(Exception):
    """Trying again may help; `wait` is what the provider asked for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.why, self.wait = why, wait


class ApiClient:
    """A session with one API under one key; use it as a context manager.

    Attributes:
        requests: how many were sent, for tests and logs. server_time: the provider's clock at its latest answer; None before.
    """

    def __init__(self, base_url: str, headers: dict[str, str], key: str, manners: Manners | None = None) -> None:
        self._manners = manners or Manners()
        self._key, self._sleep = key, self._manners.sleep
        self._base, self._host = base_url, urlsplit(base_url).netloc
        local = urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1")
        self._client = httpx.Client(
            headers={**headers, "Accept": "application/json", "User-Agent": "costlake"},
            timeout=httpx.Timeout(self._manners.read_seconds, connect=self._manners.connect_seconds),
            follow_redirects=False,  # the key must not follow one to another host
            trust_env=not local,
        )
        self.requests = 0
        self.server_time: dt.datetime | None = None

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, params: Sequence[tuple[str, str]]) -> bytes:
        """One page's bytes, untouched. Raises what the module's docstring lists."""
        retrying = Retrying(
            stop=stop_after_attempt(self._manners.tries),
            retry=retry_if_exception(self._helps),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, path, params)
        except _Busy as busy:
            raise self._unavailable(path, busy) from None

    def _once(self, path: str, params: Sequence[tuple[str, str]]) -> bytes:
        if self.requests:
            self._sleep(self._manners.pause_seconds)
        self.requests += 1
        started = time.monotonic()
        try:
            with self._client.stream("GET", f"{self._base}/{path}", params=httpx.QueryParams(list(params))) as response:
                self.server_time = _date(response.headers.get("date"))
                if response.status_code != httpx.codes.OK:
                    raise self._refusal(path, response)
                return self._body(response, started, self._manners.page_bytes)
        except httpx.TimeoutException:
            raise _Busy("it did not answer in time") from None
        except httpx.RequestError as error:
            raise _Busy(f"the connection failed ({type(error).__name__})") from None
        except httpx.InvalidURL:
            raise self._refused(ProviderRefused, "the address is none", path, "an https address", "correct pull.base_url") from None

    def _body(self, response: httpx.Response, started: float, most: int) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > most:
                raise self._refused(
                    ProviderRefused, f"the answer is larger than {most} bytes", response.url.path, "a page", "correct pull.base_url"
                )
            if time.monotonic() - started > self._manners.page_seconds:
                raise _Busy(f"the page was not whole after {self._manners.page_seconds:g} seconds")
        return bytes(body)

    def _refusal(self, path: str, response: httpx.Response) -> Exception:
        status = response.status_code
        if status in _BUSY or status >= 500:
            return _Busy(f"it answered {status}", _retry_after(response.headers.get("retry-after"), self.server_time))
        kind, said = self._said(response)
        if status in (401, 403):
            return self._refused(
                ProviderRefused,
                f"the key is refused ({status}{f', {kind}' if kind else ''})",
                path,
                "an admin key of the organisation that may read usage and costs",
                "renew the key behind pull.credential (docs/runbooks/pull-from-an-api.md), then pull again",
            )
        if 300 <= status < 400:
            return self._refused(ProviderRefused, f"it redirects ({status})", path, "an answer at this address", "correct pull.base_url")
        return self._refused(
            RequestRefused,
            f"the request is refused ({status}{f', {kind}' if kind else ''}){f': {said}' if said else ''}",
            path,
            "a report, parameters and a cursor that the API knows",
            "compare the export's pull block with the provider's documentation",
        )

    def _said(self, response: httpx.Response) -> tuple[str, str]:
        """The kind of an error and its text, as far as they are fit to be shown."""
        try:
            body = b"".join(chunk for _, chunk in zip(range(4), response.iter_bytes(_ERROR_BYTES // 4), strict=False))
            error = json.loads(body)["error"]
            kind, said = str(error.get("type") or error.get("code") or ""), str(error.get("message") or "")
        except (httpx.RequestError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "", ""  # an error page without the documented shape says nothing that we could show
        clean = " ".join(said.replace(self._key, "…").split())[:200]
        return (kind if _SLUG.fullmatch(kind) and self._key not in kind else "", clean)

    def _refused(self, kind: type[CostlakeError], what: str, path: str, expected: str, next_step: str) -> CostlakeError:
        return kind(what, where=f"{self._host}, {path}", expected=expected, next_step=next_step)

    def _unavailable(self, path: str, busy: _Busy) -> ProviderUnavailable:
        asked = f" and asks to wait {busy.wait:.0f} seconds" if busy.wait else ""
        return ProviderUnavailable(
            f"the provider's API is not available: {busy.why}{asked}",
            where=f"{self._host}, {path}",
            expected=f"an answer within {self._manners.tries} tries",
            next_step="pull again later: what was pulled so far stays, and the next pull goes on from there",
        )

    def _helps(self, error: BaseException) -> bool:
        return isinstance(error, _Busy) and (error.wait or 0) <= self._manners.longest_wait_seconds

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _Busy) and error.wait is not None:
            return error.wait
        doubled: float = self._manners.first_wait_seconds * 2.0 ** (state.attempt_number - 1)
        return min(doubled, self._manners.longest_wait_seconds)


def _retry_after(header: str | None, server_time: dt.datetime | None) -> float | None:
    """Seconds to wait, of both forms that HTTP allows: a number, or an instant on the provider's clock."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    instant = _date(header)
    return max(0.0, (instant - server_time).total_seconds()) if instant and server_time else None


def _date(header: str | None) -> dt.datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(dt.UTC) if header else None
    except ValueError:
        return None  # a server without a readable clock: then nothing is compared with it
