"""What a provider's server can do wrong over HTTP: slow, busy, broken off, pages that make no whole. And the key is in no message.

The answers are those of tests/ingest/pull/api_server.py, spoilt one request at a time.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from costlake.delta import Lake
from costlake.errors import (
    FatalError,
    IncompletePull,
    ProviderRefused,
    ProviderUnavailable,
    RequestRefused,
    RetryableError,
)
from tests.ingest.pull.api_server import KEY, ApiServer, Fault, Json
from tests.ingest.pull.conftest import COMPLETIONS, NOW, Estate, completions

pytestmark = pytest.mark.usefixtures("month")
TOTAL = sum(range(1, 31))
SUM = "SELECT count(*)::INT, sum(input_tokens)::INT FROM bronze.openai_usage"


def test_retry_after_is_waited_for_and_both_its_forms_are_understood(estate: Estate, api: ApiServer) -> None:
    later = (NOW + dt.timedelta(seconds=17)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    api.next_fails(Fault(status=429, headers={"Retry-After": "23"}), Fault(status=429, headers={"Retry-After": later}))
    assert estate.pull().failed == []
    assert [pause for pause in estate.slept if pause] == [23.0, 17.0]
    assert len(api.requests) == 3


def test_a_pause_of_an_hour_is_not_slept_through_but_ends_the_pull_for_now(estate: Estate, api: ApiServer) -> None:
    api.page_buckets = 10
    api.faults = {2: Fault(status=429, headers={"Retry-After": "3600"})}
    (error,) = estate.pull().failed
    assert isinstance(error, ProviderUnavailable)
    assert "3600 seconds" in error.what
    assert not any(estate.slept)
    assert estate.pull().failed == []
    assert len(api.requests) == 4, "page 1 was not asked for again"
    estate.ingest()
    assert estate.rows(SUM) == [(30, TOTAL)]


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=503), Fault(status=529), Fault(status=408), Fault(cut_bytes=50), Fault(delay_seconds=0.6)],
    ids=["500", "503", "overloaded", "408", "broken off", "slow"],
)
def test_trouble_of_the_provider_is_tried_again_with_growing_pauses(estate: Estate, api: ApiServer, fault: Fault) -> None:
    api.next_fails(fault, fault)
    assert estate.pull(read_seconds=0.3).failed == []
    assert [pause for pause in estate.slept if pause] == [1.0, 2.0]
    estate.ingest()
    assert estate.rows(SUM) == [(30, TOTAL)]


def test_trouble_that_lasts_is_a_retryable_error_and_keeps_what_was_pulled(estate: Estate, api: ApiServer) -> None:
    api.page_buckets = 10
    api.faults = {number: Fault(status=502) for number in range(2, 7)}
    (error,) = estate.pull().failed
    assert isinstance(error, RetryableError)
    assert len(api.requests) == 6
    assert [path.name for path in (estate.root / estate.folders()[0]).iterdir()] != []
    assert not (estate.root / estate.folders()[0] / "pull.json").exists()
    estate.pull()
    assert len(api.requests) == 8
    assert estate.ingest().row_count == 30


def test_an_answer_that_drips_for_ever_does_not_hold_the_task(estate: Estate, api: ApiServer) -> None:
    api.next_fails(Fault(drip_seconds=0.05))
    assert estate.pull(page_seconds=0.2).failed == []
    assert len(api.requests) == 2


def test_an_endless_answer_does_not_fill_the_memory(estate: Estate) -> None:
    (error,) = estate.pull(page_bytes=100).failed
    assert isinstance(error, ProviderRefused)


def test_a_refused_key_is_fatal_and_stands_in_no_message_traceback_or_log(
    estate: Estate, api: ApiServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "sk-admin-WRONGWRONGWRONG"
    monkeypatch.setenv("TESTED_API_KEY", wrong)
    caplog.set_level(logging.DEBUG)
    (error,) = estate.pull().failed
    assert isinstance(error, ProviderRefused)
    assert isinstance(error, FatalError)
    assert len(api.requests) == 1, "a refused key is not tried again"
    told = [str(error), repr(error), "".join(traceback.format_exception(error)), str(pickle.loads(pickle.dumps(error))), caplog.text]
    told += [path.read_text() for path in estate.root.rglob("*") if path.is_file()]
    assert all(wrong not in text for text in told)
    assert any("renew the key" in text for text in told)


def test_a_key_repeated_by_the_provider_in_its_error_is_not_passed_on(estate: Estate, api: ApiServer) -> None:
    body = json.dumps({"error": {"type": f"bad {KEY}", "message": f"no such group for {KEY}: x"}}).encode()
    api.next_fails(Fault(status=400, body=body))
    (error,) = estate.pull().failed
    assert isinstance(error, RequestRefused)
    assert KEY not in str(error)
    assert "no such group for …: x" in str(error)


def test_a_redirect_does_not_take_the_key_elsewhere(estate: Estate, api: ApiServer) -> None:
    api.next_fails(Fault(status=302, headers={"Location": f"{api.url}/elsewhere"}))
    (error,) = estate.pull().failed
    assert isinstance(error, ProviderRefused)
    assert len(api.requests) == 1


def _drop_bucket(page: Json) -> Json:
    return {**page, "data": page["data"][:3] + page["data"][4:]}


def _double_bucket(page: Json) -> Json:
    twice = {**page["data"][3], "results": [completions(999)]}
    return {**page, "data": [*page["data"][:4], twice, *page["data"][4:]]}


BROKEN: dict[str, tuple[int, Callable[[Json], Json], str]] = {
    "the first page comes again": (2, lambda page: {**page, "data": _FIRST["data"]}, "comes twice"),
    "a page is missing in the middle": (2, lambda page: {**page, "data": []} | {"has_more": True}, "empty and says has_more"),
    "pages are skipped": (1, lambda page: {**page, "next_page": "page_2026-11-12T00:00:00+00:00"}, "missing from"),
    "the last page is missing": (2, lambda page: {**page, "has_more": False}, "the last page ends at 2026-11-12"),
    "a bucket is missing": (1, _drop_bucket, "missing from 2026-10-26"),
    "a bucket comes twice with other numbers": (1, _double_bucket, "comes twice"),
    "cursors lead round": (2, lambda page: {**page, "next_page": "page_2026-11-02T00:00:00+00:00"}, "circle"),
    "a cursor is missing": (1, lambda page: {**page, "next_page": None}, "no cursor"),
    "a bucket without times": (1, lambda page: {**page, "data": [{"results": []}]}, "no readable times"),
    "an error with status 200": (1, lambda page: {"error": {"message": "overloaded"}}, "no page"),
    "days beyond the window": (
        3,
        lambda page: {**page, "data": [*page["data"][:-1], {**page["data"][-1], "end_time": 1893456000}]},
        "ends at",
    ),
}
_FIRST: Json = {}


@pytest.mark.parametrize("case", BROKEN)
def test_pages_that_make_no_whole_are_refused_before_they_are_a_delivery(estate: Estate, api: ApiServer, case: str) -> None:
    number, change, said = BROKEN[case]
    api.page_buckets = 10
    start = {"start_time": ["1792713600"], "end_time": ["1795305600"], "limit": ["31"]}
    _FIRST.update(api.page(COMPLETIONS, start))
    api.faults = {number: Fault(change=change)}
    (error,) = estate.pull().failed
    assert isinstance(error, IncompletePull), error
    assert said in error.what
    assert estate.folders() == []
    assert not Lake(estate.settings).exists("bronze", "openai_usage")
    api.faults = {}
    estate.both()
    assert estate.rows(SUM) == [(30, TOTAL)], "the next pull is whole"


def test_an_answer_that_is_no_json_is_refused(estate: Estate, api: ApiServer) -> None:
    api.next_fails(Fault(status=200, body=b"<html>sorry</html>"))
    (error,) = estate.pull().failed
    assert isinstance(error, IncompletePull)


def test_a_server_that_leaves_out_empty_buckets_can_be_told(estate: Estate, api: ApiServer) -> None:
    estate.configure(accept_gaps=True)
    api.faults = {1: Fault(change=_drop_bucket)}
    assert estate.pull().failed == []
