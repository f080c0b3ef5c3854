"""Pulling over HTTP: days are asked for once, late data replaces, what breaks off goes on, and what is broken is never written."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from costlake.delta import Lake
from costlake.errors import (
    ConcurrentWrite,
    IncompletePull,
)
from costlake.periods import FixedClock
from ingest.pull.client import Manners
from ingest.pull.folders import only_one
from ingest.pull.run import pull_exports
from tests.ingest.pull.api_server import ApiServer, Fault, Json
from tests.ingest.pull.conftest import COMPLETIONS, NOW, Estate, completions

pytestmark = pytest.mark.usefixtures("month")
TOTAL = sum(range(1, 31))
SUM = "SELECT count(*)::INT, sum(input_tokens)::INT FROM bronze.openai_usage"


def test_each_page_costs_one_request_and_a_second_pull_changes_nothing(estate: Estate, api: ApiServer) -> None:
    api.page_buckets = 7
    estate.both()
    assert len(api.requests) == 5
    assert estate.rows(SUM) == [(30, TOTAL)]
    folders, version = estate.folders(), Lake(estate.settings).version("bronze", "openai_usage")
    estate.now += dt.timedelta(hours=6)
    api.now += dt.timedelta(hours=6)
    again = estate.pull()
    assert [(one.start.date(), one.changed) for one in again.pulled] == [(dt.date(2026, 11, 15), True)], "the window is shorter: a new pull"
    assert [one.changed for one in estate.pull().pulled] == [False]
    estate.ingest()
    assert estate.rows(SUM) == [(30, TOTAL)]
    assert len(estate.folders()) == len(folders) + 1
    after = Lake(estate.settings).version("bronze", "openai_usage")
    estate.pull()
    assert estate.ingest().loaded == []
    assert Lake(estate.settings).version("bronze", "openai_usage") == after != version


def test_late_data_replaces_its_day_and_older_days_are_not_asked_for_again(estate: Estate, api: ApiServer) -> None:
    estate.both()
    api.results[COMPLETIONS][dt.date(2026, 10, 25)] = [completions(1_000_000)]
    api.results[COMPLETIONS][dt.date(2026, 11, 19)] = [completions(28), completions(500, api_key_id="key_late")]
    api.results[COMPLETIONS][dt.date(2026, 11, 22)] = [completions(31)]
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    estate.both()
    (asked,) = api.asked(COMPLETIONS)[1:]
    start = dt.datetime.fromtimestamp(int(asked["start_time"][0]), tz=dt.UTC)
    assert (start.date(), asked["limit"]) == (dt.date(2026, 11, 15), ["31"])
    assert estate.rows(SUM) == [(32, TOTAL + 500 + 31)]


def test_the_day_that_is_not_over_is_left_for_tomorrow(estate: Estate, api: ApiServer) -> None:
    api.results[COMPLETIONS][dt.date(2026, 11, 22)] = [completions(5)]
    estate.both()
    assert estate.rows("SELECT max(_slice) FROM bronze.openai_usage") == [("2026-11-21",)]


def test_the_window_and_the_grouping_are_the_exports(estate: Estate, api: ApiServer) -> None:
    estate.configure(window_days=2, group_by=["model", "project_id"])
    estate.both()
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    estate.both()
    first, second = api.asked(COMPLETIONS)
    assert second["group_by"] == ["project_id", "model"]
    assert int(second["end_time"][0]) - int(second["start_time"][0]) == 3 * 86400
    assert int(first["end_time"][0]) - int(second["start_time"][0]) == 2 * 86400
    assert estate.rows("SELECT DISTINCT group_by_signature FROM bronze.openai_usage") == [("project_id,model",)]


def test_a_backlog_longer_than_the_window_leaves_no_hole(estate: Estate, api: ApiServer) -> None:
    estate.both()
    estate.now += dt.timedelta(days=20)
    api.now += dt.timedelta(days=20)
    estate.both()
    starts = [int(asked["start_time"][0]) for asked in api.asked(COMPLETIONS)]
    assert starts[1] == int(dt.datetime(2026, 11, 15, tzinfo=dt.UTC).timestamp())


def test_a_day_that_is_not_over_on_the_providers_clock_is_not_taken_for_whole(estate: Estate, api: ApiServer) -> None:
    api.now = dt.datetime(2026, 11, 21, 23, 59, tzinfo=dt.UTC)
    (error,) = estate.pull().failed
    assert isinstance(error, IncompletePull)
    assert "2026-11-21T23:59:00Z" in error.what
    assert estate.folders() == []


def test_a_clock_set_back_does_not_bring_an_older_pull_over_a_newer_one(estate: Estate, api: ApiServer) -> None:
    estate.both()
    api.results[COMPLETIONS][dt.date(2026, 11, 15)] = [completions(7000)]
    estate.now -= dt.timedelta(days=3)
    estate.both()
    assert estate.folders() == ["pull-000001-completions", "pull-000002-completions"]
    assert estate.rows("SELECT input_tokens::INT FROM bronze.openai_usage WHERE _slice = '2026-11-15'") == [(7000,)]
    estate.ingest()
    assert estate.rows("SELECT count(*)::INT FROM bronze.openai_usage") == [(30,)]


@pytest.mark.parametrize(
    "result",
    [
        completions(-5),
        completions(10, input_cached_tokens=11),
        completions(10, input_tokens=1.5),
        completions(10, model="gpt-99-unheard-of"),
    ],
    ids=["negative tokens", "more cached than input", "half a token", "unknown model"],
)
def test_values_that_cannot_be_are_refused_by_the_ingest_and_leave_bronze_as_it_was(estate: Estate, api: ApiServer, result: Json) -> None:
    estate.both()
    api.results[COMPLETIONS][dt.date(2026, 11, 18)] = [result]
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    assert estate.pull().failed == []
    refused = estate.ingest()
    assert len(refused.refused) == 1
    assert "pull-000002-completions/page-00001.json" in refused.refused[0].where
    assert estate.rows(SUM) == [(30, TOTAL)]


def test_a_page_that_vanishes_after_the_pull_is_noticed(estate: Estate, api: ApiServer) -> None:
    api.page_buckets = 10
    estate.pull()
    (estate.root / estate.folders()[0] / "page-00002.json").unlink()
    assert [type(error).__name__ for error in estate.ingest().refused] == ["MissingPart"]


@pytest.mark.parametrize("with_digests", [True, False])
def test_results_lost_on_disk_are_noticed(estate: Estate, with_digests: bool) -> None:
    estate.pull()
    folder = estate.root / estate.folders()[0]
    content = json.loads((folder / "page-00001.json").read_text())
    content["data"][4]["results"] = []
    (folder / "page-00001.json").write_text(json.dumps(content))
    if not with_digests:
        marker = json.loads((folder / "pull.json").read_text())
        (folder / "pull.json").write_text(json.dumps({name: value for name, value in marker.items() if name != "sha256"}))
    assert [type(error).__name__ for error in estate.ingest().refused] == ["ManifestError" if with_digests else "RowCountMismatch"]


def test_a_refused_pull_is_overtaken_by_the_next_and_never_loaded_over_it(estate: Estate, api: ApiServer) -> None:
    estate.both()
    api.results[COMPLETIONS][dt.date(2026, 11, 15)] = [completions(-1)]
    for _ in range(2):
        estate.now += dt.timedelta(days=1)
        api.now += dt.timedelta(days=1)
        assert estate.pull().failed == []
        assert len(estate.ingest().refused) == 1, "one refusal, however many pulls wait"
    api.results[COMPLETIONS][dt.date(2026, 11, 15)] = [completions(240)]
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    estate.both()
    starts = {dt.datetime.fromtimestamp(int(params["start_time"][0]), tz=dt.UTC).date() for params in api.asked(COMPLETIONS)[1:]}
    assert starts == {dt.date(2026, 11, 15)}, "what was refused is asked for again until it is landed"
    assert estate.rows(SUM) == [(30, TOTAL - 24 + 240)]
    assert [path.name for path in estate.root.glob("*/pull.json")] == ["pull.json"] * 2


def test_pages_that_were_never_ingested_leave_no_hole(estate: Estate, api: ApiServer) -> None:
    estate.pull()
    estate.now += dt.timedelta(days=20)
    api.now += dt.timedelta(days=20)
    estate.both()
    assert estate.rows(SUM) == [(30, TOTAL)]


def test_a_quiet_month_is_no_lost_delivery_and_is_not_asked_for_again(estate: Estate, api: ApiServer) -> None:
    api.results.clear()
    estate.both()
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    estate.both()
    assert len(api.requests) == 2
    assert int(api.requests[1][1]["start_time"][0]) > int(api.requests[0][1]["start_time"][0])


def test_a_day_that_lost_its_usage_waits_for_a_person(estate: Estate, api: ApiServer) -> None:
    estate.both()
    api.results[COMPLETIONS][dt.date(2026, 11, 18)] = []
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    estate.pull()
    assert [type(error).__name__ for error in estate.ingest().refused] == ["ShrunkenDelivery"]
    assert estate.rows(SUM) == [(30, TOTAL)]


def test_two_pulls_at_once_do_not_write_into_each_other(estate: Estate) -> None:
    with only_one(estate.root):
        (error,) = estate.pull().failed
    assert isinstance(error, ConcurrentWrite)
    assert estate.pull().failed == []


def test_a_begun_pull_is_too_old_to_be_continued(estate: Estate, api: ApiServer) -> None:
    """Half of yesterday's pages and half of today's would be of two states of the provider's books."""
    api.page_buckets = 10
    api.faults = {2: Fault(status=429, headers={"Retry-After": "3600"})}
    estate.pull()
    estate.now += dt.timedelta(hours=7)
    api.now += dt.timedelta(hours=7)
    estate.both()
    assert [("page" in params) for _, params in api.requests] == [False, True, False, True, True]
    assert estate.rows(SUM) == [(30, TOTAL)]


@pytest.mark.parametrize("what", ["group_by", "base_url", "page", "gone", "question"])
def test_a_begun_pull_that_fits_no_more_begins_anew(estate: Estate, api: ApiServer, what: str) -> None:
    api.page_buckets = 10
    api.faults = {3: Fault(status=429, headers={"Retry-After": "3600"})}
    estate.pull()
    (folder,) = estate.folders()
    if what == "group_by":
        estate.configure(group_by=["model"])
    elif what == "base_url":
        estate.configure(base_url=api.url.replace("127.0.0.1", "localhost"))
    elif what == "gone":
        (estate.root / folder / "page-00001.json").unlink()
    elif what == "question":
        (estate.root / folder / "pull.json.partial").unlink()
    else:
        (estate.root / folder / "page-00002.json").write_text("{", encoding="utf-8")
    estate.both()
    assert [("page" in params) for _, params in api.requests[3:]] == [False, True, True]
    assert estate.rows(SUM) == [(30, TOTAL)]


def test_a_cursor_that_the_provider_has_forgotten_begins_the_pull_anew(estate: Estate, api: ApiServer) -> None:
    api.page_buckets = 10
    api.faults = {2: Fault(status=429, headers={"Retry-After": "3600"}), 3: Fault(status=400)}
    estate.pull()
    estate.both()
    assert [("page" in params) for _, params in api.requests] == [False, True, True, False, True, True]
    assert estate.rows(SUM) == [(30, TOTAL)]


def test_one_report_that_fails_does_not_stop_the_others(estate: Estate, api: ApiServer) -> None:
    estate.configure(reports=["completions", "embeddings"])
    api.faults = {1: Fault(status=404)}
    result = estate.pull()
    assert [type(error).__name__ for error in result.failed] == ["RequestRefused"]
    assert [one.report for one in result.pulled] == ["embeddings"]


def test_requests_are_paced(estate: Estate, api: ApiServer) -> None:
    api.page_buckets = 10
    estate.pull(pause_seconds=0.25)
    assert estate.slept == [0.25, 0.25]


def test_hours_are_pulled_by_the_week(estate: Estate, api: ApiServer) -> None:
    estate.configure(bucket_width="1h", since=dt.date(2026, 11, 8))
    estate.both()
    assert [params["limit"] for _, params in api.requests] == [["168"], ["168"]]
    assert estate.rows("SELECT count(*)::INT, max(bucket_end - bucket_start) FROM bronze.openai_usage") == [(14, dt.timedelta(hours=1))]


def test_what_the_person_says_is_asked_for_again(estate: Estate, api: ApiServer) -> None:
    estate.both()
    api.results[COMPLETIONS][dt.date(2026, 10, 25)] = [completions(1_000_000)]
    pull_exports(estate.settings, ["pulled"], FixedClock(NOW), since=dt.date(2026, 10, 23), manners=Manners(pause_seconds=0))
    estate.ingest()
    assert estate.rows(SUM) == [(30, TOTAL - 3 + 1_000_000)]
