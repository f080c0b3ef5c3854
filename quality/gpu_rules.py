"""What must hold of GPU telemetry and of the marts made of it: measurements that can be, prices and owners or the reason why not.

Data flow: `bronze.gpu_telemetry`, `marts.fct_gpu_*` → rules, which `quality.suites` and `quality.checks` put into suites. That shares sum
to the bill is dbt's to check (dbt/tests/gpu), not ours.
Run alone: python -c "from quality.gpu_rules import gpu_suites; print(gpu_suites('rebuild'))"
"""

from __future__ import annotations

import datetime as dt

from quality.rules import Rule, Suite, between, no_rows, not_null

# A table of billions of samples is looked at where it changes: in its newest hours.
CHECKED_HOURS = 24
_LATEST_SAMPLE = dt.timedelta(hours=2)
# Paid for and not seen, of a machine that was seen that day: above it the idle figures say little.
_MOST_UNSEEN = "0.25"
_COLLECTOR = "look at the collector of that host (`costlake telemetry --help`): its clock, its buffer, its device"


def telemetry_suite(checked_at: dt.datetime | None) -> Suite:
    """The suite of the newest hours of the stream's table; None leaves freshness out."""
    place = "host, gpu_uuid, interval_start"
    rules: list[Rule] = [
        *(not_null(column, _COLLECTOR) for column in ("event_id", "gpu_uuid", "host", "interval_start", "interval_end")),
        no_rows("interval_ends_after_it_starts", f"SELECT {place} FROM {{batch}} WHERE interval_end <= interval_start", _COLLECTOR),
        no_rows(
            "sample_lies_in_the_hour_in_which_it_starts",
            f"SELECT {place}, event_hour FROM {{batch}} WHERE strftime(interval_start AT TIME ZONE 'UTC', '%Y-%m-%dT%H') <> event_hour",
            "correct the sink: the hour of another zone puts samples where nobody reads them",
        ),
        no_rows(
            "sample_ends_before_it_arrives",
            f"SELECT {place}, _ingested_at FROM {{batch}} WHERE interval_end > _ingested_at + INTERVAL 5 MINUTE",
            f"{_COLLECTOR}; samples from the future are left out of the search for idle GPUs",
            severity="warn",
        ),
        no_rows(
            "sample_is_no_longer_than_an_hour",
            f"SELECT {place}, interval_end FROM {{batch}} WHERE interval_end > interval_start + INTERVAL 1 HOUR",
            "shorten the collector's interval: a longer sample is no evidence (gpu_max_interval_seconds), its time counts as not seen",
            severity="warn",
        ),
    ]
    if checked_at is not None:
        oldest = int((checked_at - _LATEST_SAMPLE).timestamp())
        rules.append(
            no_rows(
                "newest_sample_is_fresh",
                f"SELECT max(interval_end) AS newest_sample FROM {{batch}} HAVING epoch(max(interval_end)) < {oldest}",
                "look whether collectors send and the consumer runs; a GPU that nobody sees is not found idle",
                severity="warn",
            )
        )
    return Suite("bronze_gpu_telemetry", "bronze", "bronze.gpu_telemetry", tuple(rules))


def gpu_suites(rebuild: str) -> tuple[Suite, ...]:
    """The suites of the GPU marts. Empty marts are no fault: most bills hold no GPU."""
    return _hours_suite(rebuild), _allocation_suite(rebuild), _waste_suite(rebuild)


def _hours_suite(rebuild: str) -> Suite:
    place = "node_id, gpu_uuid, hour_start"
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "charge_date", "node_id", "row_kind")),
        between("activity_ratio", 0, 1, rebuild),
        between("memory_used_ratio", 0, 1, rebuild),
        between("observed_seconds", 0, 3600, rebuild),
        no_rows("cost_or_reason_is_given", f"SELECT {place} FROM {{batch}} WHERE effective_cost IS NULL AND cost_reason IS NULL", rebuild),
        no_rows(
            "gpu_has_a_price",
            "SELECT node_id, host, cost_reason, count(*) AS rows FROM {batch} WHERE cost_reason IS NOT NULL GROUP BY ALL ORDER BY 4 DESC",
            "wait for the bill; give owned machines a rate in config/prices/gpu_hours.yml; or let the collector send the bill's id",
            severity="warn",
        ),
        no_rows(
            "machine_is_on_one_bill",
            "SELECT node_id, gpu_uuid, hour_start, count(*) AS bills FROM {batch} WHERE row_kind = 'gpu' GROUP BY ALL HAVING count(*) > 1",
            "costs add up all the same; count the hours of such a machine per bill (docs/decisions/0031)",
            severity="warn",
        ),
        no_rows(
            "telemetry_sees_what_is_paid_for",
            "SELECT node_id, charge_date, billing_currency, sum(effective_cost) FILTER (row_kind = 'not_observed') AS not_observed,"
            " sum(effective_cost) AS cost"
            " FROM {batch} WHERE row_reason IS DISTINCT FROM 'no_telemetry_that_day' GROUP BY ALL"
            f" HAVING count(*) FILTER (row_kind = 'gpu') > 0 AND abs(not_observed) > {_MOST_UNSEEN} * abs(cost) ORDER BY charge_date DESC",
            _COLLECTOR,
            severity="warn",
        ),
    )
    return Suite("fct_gpu_hours", "marts", "marts.fct_gpu_hours", rules)


def _allocation_suite(rebuild: str) -> Suite:
    states = "'busy', 'allocated_idle', 'warm_unused', 'unallocated', 'activity_unknown', 'not_observed', 'host'"
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "charge_date", "node_id", "usage_state")),
        between("gpu_hours", 0, None, rebuild),
        no_rows(
            "state_is_of_the_vocabulary",
            f"SELECT DISTINCT usage_state FROM {{batch}} WHERE usage_state NOT IN ({states})",
            "name the state in the mart's description and in quality/gpu_rules.py, or correct int_gpu_shares",
            column="usage_state",
        ),
        no_rows(
            "owner_or_reason_is_given",
            "SELECT node_id, pod, hour_start FROM {batch} WHERE owner IS NULL AND owner_reason IS NULL",
            "give the machine an owner tag, or the rate an owner (law 3)",
        ),
    )
    return Suite("fct_gpu_allocation_hourly", "marts", "marts.fct_gpu_allocation_hourly", rules)


def _waste_suite(rebuild: str) -> Suite:
    rules = (
        *(not_null(column, rebuild) for column in ("billing_period", "charge_date", "node_id", "usage_state")),
        between("idle_gpu_hours", 0, None, rebuild),
        between("gpu_count", 1, None, rebuild),
        no_rows(
            "cost_or_reason_is_given",
            "SELECT node_id, charge_date FROM {batch} WHERE wasted_cost IS NULL AND cost_reason IS NULL",
            rebuild,
        ),
    )
    return Suite("fct_gpu_waste_daily", "marts", "marts.fct_gpu_waste_daily", rules)
