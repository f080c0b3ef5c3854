"""Each way a delivery can be broken ends in a typed error that names file, place and next step; nothing of it is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import (
    BadValue,
    DeliveryError,
    EmptyDelivery,
    ManifestError,
    MissingPart,
    ShrunkenDelivery,
    TruncatedFile,
    UnknownModel,
    UnlistedPart,
    UnreadableFile,
    WrongPeriod,
)
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, ingest_stream
from tests.ingest import cur


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


def ingest(settings: Settings, bucket: Path, clock: FixedClock, *, accept: tuple[str, ...] = ()) -> IngestResult:
    return ingest_stream(settings, Export(id="aws", source="aws_cur", location=str(bucket)), clock, accept=accept)


def the_refusal(result: IngestResult, kind: type[DeliveryError], *, where: str) -> DeliveryError:
    """The one refusal, of that type, with all that a reader needs; and nothing was loaded."""
    assert result.loaded == []
    assert [type(error) for error in result.refused] == [kind]
    error = result.refused[0]
    assert where in error.where
    assert error.expected
    assert error.next_step
    assert isinstance(error, DeliveryError)
    return error


def nothing_written(settings: Settings) -> None:
    assert Lake(settings).tables("bronze") == [], "bronze was touched"
    assert not list(settings.landing.rglob("*.gz")), "landing was touched"
    assert not list((settings.lake / ".incoming").glob("*")), "an incoming folder was left behind"


def test_a_truncated_gzip_would_lose_its_last_rows_silently(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(2000)])
    part = folder / "report-00001.csv.gz"
    part.write_bytes(part.read_bytes()[:-200])
    the_refusal(ingest(settings, bucket, clock), TruncatedFile, where="report-00001.csv.gz")
    nothing_written(settings)


def test_a_corrupted_gzip_is_not_half_read(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(2000)])
    part = folder / "report-00001.csv.gz"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(bytes(content))
    the_refusal(ingest(settings, bucket, clock), UnreadableFile, where="report-00001.csv.gz")
    nothing_written(settings)


def test_a_part_that_the_manifest_names_but_is_missing_would_shrink_the_month(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(3), cur.rows(2)])
    (folder / "report-00002.csv.gz").unlink()
    the_refusal(ingest(settings, bucket, clock), MissingPart, where="report-00002.csv.gz")
    nothing_written(settings)


def test_a_part_that_the_manifest_does_not_name_would_be_counted_or_lost(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(3)])
    (folder / "report-00002.csv.gz").write_bytes(gzip.compress(cur.csv_bytes(cur.rows(2))))
    the_refusal(ingest(settings, bucket, clock), UnlistedPart, where="report-00002.csv.gz")
    nothing_written(settings)


@pytest.mark.parametrize("cost", ["None", "null", "n/a", "1,5", "1_000", "12.3USD", "NaN", "Infinity", "1e40", "", "   ", "--1"])
def test_a_cost_that_is_no_number_does_not_become_zero(settings: Settings, bucket: Path, clock: FixedClock, cost: str) -> None:
    cur.deliver(bucket, [cur.rows(2), [cur.row(number=3), cur.row(cost, number=4)]])
    error = the_refusal(ingest(settings, bucket, clock), BadValue, where="report-00002.csv.gz, row 2, column line_item_unblended_cost")
    assert "1 cell(s)" in error.what
    nothing_written(settings)


def test_a_bad_number_in_a_lesser_column_is_found_too(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [[cur.row(), cur.row(number=2, **{"reservation/EffectiveCost": "twelve"})]])
    the_refusal(ingest(settings, bucket, clock), BadValue, where="row 2, column reservation_effective_cost")
    nothing_written(settings)


@pytest.mark.parametrize("nothing", ["None", "null", "NULL", " "])
def test_a_word_for_nothing_in_a_lesser_column_does_not_hold_up_the_bill(
    settings: Settings, bucket: Path, clock: FixedClock, nothing: str
) -> None:
    """nise writes Python's None where a line has no Savings Plan; a tag that says None keeps its text."""
    told = {"savingsPlan/SavingsPlanEffectiveCost": nothing, "pricing/publicOnDemandCost": "2", "resourceTags/user:team": nothing}
    cur.deliver(bucket, [[cur.row(**told), cur.row(number=2, **told)]])
    assert ingest(settings, bucket, clock).row_count == 2
    columns = "savings_plan_savings_plan_effective_cost, pricing_public_on_demand_cost, trim(resource_tags_user_team)"
    rows = Lake(settings).connect().execute(f"SELECT DISTINCT {columns} FROM bronze.aws_cur").fetchall()
    assert rows == [(None, 2, nothing.strip())]


def test_a_time_that_is_no_time_has_no_billing_period(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [[cur.row(), cur.row(number=2, **{"bill/BillingPeriodStartDate": "October"})]])
    the_refusal(ingest(settings, bucket, clock), BadValue, where="row 2, column bill_billing_period_start_date")
    nothing_written(settings)


def test_rows_of_another_month_would_be_counted_in_both(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [[*cur.rows(3), cur.row(number=9, month="2026-09")]])
    the_refusal(ingest(settings, bucket, clock), WrongPeriod, where="report-Manifest.json")
    nothing_written(settings)


def test_an_empty_delivery_does_not_empty_the_month(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [[]])
    the_refusal(ingest(settings, bucket, clock), EmptyDelivery, where="report-Manifest.json")
    nothing_written(settings)


def test_a_file_of_no_bytes_is_no_empty_month(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(1)])
    (folder / "report-00001.csv.gz").write_bytes(b"")
    the_refusal(ingest(settings, bucket, clock), EmptyDelivery, where="report-00001.csv.gz")
    nothing_written(settings)


@pytest.mark.parametrize("shrunk", [cur.rows(60), cur.rows(100, cost="0.5")], ids=["rows", "cost"])
def test_a_shrunken_month_is_refused_with_both_numbers_until_a_person_accepts_it(
    settings: Settings, bucket: Path, clock: FixedClock, shrunk: list[cur.Row]
) -> None:
    cur.deliver(bucket, [cur.rows(100)])
    assert ingest(settings, bucket, clock).row_count == 100
    version = Lake(settings).version("bronze", "aws_cur")
    cur.deliver(bucket, [shrunk], assembly="a2")
    result = ingest(settings, bucket, clock)
    error = the_refusal(result, ShrunkenDelivery, where="2026-10")
    assert ("60 now, 100" in error.what) or ("50.0" in error.what and "150.0" in error.what)
    assert Lake(settings).version("bronze", "aws_cur") == version, "the active delivery must stay"
    accepted = error.next_step.rsplit(" ", 1)[-1]
    assert len(ingest(settings, bucket, clock, accept=(accepted,)).loaded) == 1


def test_credits_may_lower_a_month_without_an_alarm(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [cur.rows(100)])
    ingest(settings, bucket, clock)
    cur.deliver(bucket, [[*cur.rows(100), cur.row("-140", number=101)]], assembly="a2")
    assert ingest(settings, bucket, clock).refused == []


def test_one_bad_month_does_not_hold_up_the_others(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [cur.rows(3, month="2026-09")], month="2026-09")
    cur.deliver(bucket, [[cur.row("oops")]], month="2026-10")
    result = ingest(settings, bucket, clock)
    assert (len(result.loaded), len(result.refused)) == (1, 1)
    with pytest.raises(BadValue):
        result.raise_if_refused()


def test_a_refusal_is_in_the_ledger_once(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [[cur.row("oops")]])
    for _ in range(3):
        assert len(ingest(settings, bucket, clock).refused) == 1
    connection = Lake(settings).connect()
    events = connection.execute("SELECT status, error_type FROM ops.deliveries").fetchall()
    assert events == [("refused", "BadValue")]


@pytest.mark.parametrize(
    "uri",
    ["../../../etc/passwd", "prefix/report/../../../etc/passwd", "s3://bucket/../../etc/passwd"],
)
def test_a_manifest_cannot_reach_out_of_the_bucket(settings: Settings, bucket: Path, clock: FixedClock, uri: str) -> None:
    cur.deliver(bucket, [cur.rows(1)])
    manifest = bucket / "20261001-20261101" / "report-Manifest.json"
    manifest.write_text(json.dumps({"reportKeys": [uri]}), encoding="utf-8")
    the_refusal(ingest(settings, bucket, clock), ManifestError, where="report-Manifest.json")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"reportKeys": []}', '{"reportKeys": [7]}', '{"reportKeys": null}'])
def test_a_half_written_manifest_is_no_delivery(settings: Settings, bucket: Path, clock: FixedClock, text: str) -> None:
    cur.deliver(bucket, [cur.rows(1)])
    (bucket / "20261001-20261101" / "report-Manifest.json").write_text(text, encoding="utf-8")
    the_refusal(ingest(settings, bucket, clock), ManifestError, where="report-Manifest.json")


def test_a_ragged_row_is_not_padded_with_nothing(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(5)])
    lines = cur.csv_bytes(cur.rows(5)).decode().splitlines()
    lines[4] = lines[4].rsplit(",", 2)[0]
    (folder / "report-00001.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    the_refusal(ingest(settings, bucket, clock), UnreadableFile, where="report-")
    nothing_written(settings)


def test_a_file_that_is_no_cost_report_is_refused(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(1)])
    (folder / "report-00001.csv.gz").write_bytes(gzip.compress(b"name,age\nbob,7\n"))
    the_refusal(ingest(settings, bucket, clock), UnreadableFile, where="report-00001.csv.gz")


def _page(results: list[dict[str, object]], **more: object) -> str:
    bucket = {"object": "bucket", "start_time": 1790812800, "end_time": 1790899200, "results": results}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None, **more})


def _usage(**more: object) -> dict[str, object]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 10,
        "output_tokens": 1,
        "num_model_requests": 1,
        "model": "gpt-4o-mini-2024-07-18",
        **more,
    }


def _ingest_page(settings: Settings, tmp_path: Path, clock: FixedClock, text: str, source: str = "openai_usage") -> IngestResult:
    path = tmp_path / "page.json"
    path.write_text(text, encoding="utf-8")
    return ingest_file(settings, path, clock, source_name=source)


def test_an_unknown_model_is_not_priced_at_nothing(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    text = _page([_usage(), _usage(model="gpt-99-ultra")])
    error = the_refusal(_ingest_page(settings, tmp_path, clock, text), UnknownModel, where="page.json, result 2, field model")
    assert "gpt-99-ultra" in error.what
    assert Lake(settings).tables("bronze") == []


def test_a_model_can_be_made_known_in_config(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    prices = settings.config_dir / "prices"
    prices.mkdir(parents=True)
    (prices / "models.yml").write_text("models: {openai: [gpt-99-ultra]}\n", encoding="utf-8")
    assert _ingest_page(settings, tmp_path, clock, _page([_usage(model="gpt-99-ultra")])).row_count == 1


@pytest.mark.parametrize("tokens", [-1, 1.5, "many", True, None])
def test_tokens_that_are_no_count_are_refused(settings: Settings, tmp_path: Path, clock: FixedClock, tokens: object) -> None:
    text = _page([_usage(input_tokens=tokens)])
    the_refusal(_ingest_page(settings, tmp_path, clock, text), BadValue, where="result 1, field input_tokens")


def test_more_cached_tokens_than_tokens_are_refused(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    text = _page([_usage(input_tokens=10, input_cached_tokens=8, input_cache_write_tokens=3)])
    the_refusal(_ingest_page(settings, tmp_path, clock, text), BadValue, where="field input_cached_tokens")


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ({"input_tokens": 10, "input_audio_tokens": 11}, "input_audio_tokens"),
        ({"input_tokens": 10, "input_audio_tokens": 6, "input_image_tokens": 5}, "input_audio_tokens"),
        ({"input_tokens": 10, "input_cached_tokens": 3, "input_cached_audio_tokens": 4}, "input_cached_audio_tokens"),
        ({"input_tokens": 10, "input_cached_tokens": 3, "input_uncached_tokens": 7, "input_audio_tokens": 8}, "input_audio_tokens"),
        (
            {
                "input_tokens": 10,
                "input_cached_tokens": 3,
                "input_audio_tokens": 8,
                "input_cached_audio_tokens": 0,
                "input_cached_image_tokens": 0,
            },
            "input_audio_tokens",
        ),
        ({"input_tokens": 10, "output_tokens": 5, "output_audio_tokens": 4, "output_image_tokens": 2}, "output_audio_tokens"),
    ],
)
def test_more_audio_and_images_than_tokens_are_refused(
    settings: Settings, tmp_path: Path, clock: FixedClock, counts: dict[str, int], field: str
) -> None:
    """Taken apart, the rest of text would be below nothing: the row contradicts itself, and its dollars would be anybody's guess."""
    error = the_refusal(_ingest_page(settings, tmp_path, clock, _page([_usage(**counts)])), BadValue, where=f"field {field}")
    assert "are more than" in error.what


def test_audio_of_an_older_payload_may_have_been_cached(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    text = _page([_usage(input_tokens=10, input_cached_tokens=8, input_audio_tokens=9)])
    assert _ingest_page(settings, tmp_path, clock, text).row_count == 1


def test_a_page_that_comes_twice_would_double_the_day(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    text = _page([_usage()]) + "\n" + _page([_usage()])
    the_refusal(_ingest_page(settings, tmp_path, clock, text), ManifestError, where="page.json, result 2")


def test_a_pull_that_stops_in_the_middle_is_not_a_whole_month(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    text = _page([_usage()], has_more=True, next_page="p2")
    error = the_refusal(_ingest_page(settings, tmp_path, clock, text), ManifestError, where="page.json")
    assert "--accept-partial" in error.next_step


def test_costs_are_not_taken_for_usage(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    cost = {"object": "organization.costs.result", "amount": {"value": 1.5, "currency": "usd"}}
    the_refusal(_ingest_page(settings, tmp_path, clock, _page([cost])), BadValue, where="field object")


@pytest.mark.parametrize("amount", [None, "12", {"value": "x", "currency": "usd"}, {"value": True, "currency": "usd"}, {"value": 1}])
def test_an_amount_that_is_none_is_refused(settings: Settings, tmp_path: Path, clock: FixedClock, amount: object) -> None:
    text = _page([{"object": "organization.costs.result", "amount": amount}])
    the_refusal(_ingest_page(settings, tmp_path, clock, text, "openai_costs"), BadValue, where="field amount")


def test_a_location_without_any_delivery_is_an_error_not_an_empty_bill(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    (tmp_path / "nothing").mkdir()
    result = ingest(settings, tmp_path / "nothing", clock)
    assert [type(error) for error in result.refused] == [ManifestError]
