"""A few damaged deliveries of every source in each test run: refused by name with nothing written, or loaded to the exact total.

Thousands of them: python -m tests.fuzz --count 2000
"""

from __future__ import annotations

import pytest

from tests.fuzz.cases import run_case
from tests.fuzz.deliveries import fixtures

FIXTURES = fixtures()
# All sources together; a case takes a third of a second.
CASES = 72


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_a_damaged_delivery_is_refused_by_name_or_loaded_to_the_exact_total(name: str) -> None:
    seeds = [20261122_000 + number for number in range(max(5, CASES // len(FIXTURES)))]
    outcomes = [run_case(FIXTURES[name], seed) for seed in seeds]
    failed = [f"{name} --case {outcome.seed}: {outcome.damage}\n{outcome.why}" for outcome in outcomes if outcome.what == "FAILED"]
    assert failed == []


def test_the_damages_leave_some_deliveries_readable_and_make_others_unreadable() -> None:
    """A harness whose every case is refused would prove nothing of the totals."""
    found = FIXTURES["openai_usage"]
    kinds = {run_case(found, seed).what for seed in range(12)}
    assert "loaded" in kinds
    assert len(kinds) > 1


def test_a_seed_damages_in_the_same_way_again() -> None:
    found = FIXTURES["aws_cur"]
    assert run_case(found, 5) == run_case(found, 5)
