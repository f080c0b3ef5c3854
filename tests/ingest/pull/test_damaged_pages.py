"""No damage to an answer is more than a refused page: not a traceback, not an address on its way to disk, not a lost number."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections import Counter

import pytest

from costlake.config import Export
from costlake.errors import IncompletePull
from ingest.personal import has_email, without_emails
from ingest.pull.apis import APIS, Ask
from ingest.pull.sequence import Sequence
from tests.fuzz.mutations import BYTES, JSON
from tests.ingest.pull.api_server import ApiServer, Json
from tests.ingest.pull.conftest import CLAUDE_CODE, COMPLETIONS, MESSAGES, NOW, completions

CASES = 1500
START, END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 8, tzinfo=dt.UTC)
EXPORT = Export(id="damaged", source="openai_usage", location=".")
RECORD: Json = {"date": "2026-11-01T00:00:00Z", "actor": {"email_address": "jane.doe@example.com"}, "model_breakdown": []}


@pytest.mark.parametrize(
    ("api", "report", "path"),
    [("openai", "completions", COMPLETIONS), ("anthropic", "messages", MESSAGES), ("anthropic", "claude_code", CLAUDE_CODE)],
)
def test_a_damaged_page_is_taken_or_refused_and_nothing_else(api: str, report: str, path: str) -> None:
    asked = APIS[api]
    ask = Ask(next(each for each in asked.reports if each.name == report), START, END, "1d", ())
    params = {name: [value] for name, value in asked.params(ask)}
    server = ApiServer(NOW, {path: {START.date(): [RECORD] if report == "claude_code" else [completions(5)]}})
    whole = json.dumps(server.page(path, params)).encode()
    verdicts: Counter[str] = Counter()
    for seed in range(CASES):
        chance = random.Random(seed)
        damages = BYTES | JSON
        content = damages[chance.choice(sorted(damages))](chance, whole)
        sequence = Sequence(asked, ask)
        try:
            kept = without_emails(EXPORT, content)
            sequence.accept(kept, "page-00001.json")
            verdicts["taken"] += 1
            assert not has_email(json.dumps(json.loads(kept), ensure_ascii=False)), seed
        except IncompletePull as error:
            verdicts["refused" if error.where and error.next_step else "refused without place or next step"] += 1
    assert verdicts["taken"] > CASES // 50, verdicts
    assert verdicts["refused"] > CASES // 4, verdicts
    assert verdicts.total() == verdicts["taken"] + verdicts["refused"]


def test_numbers_and_everything_else_keep_their_bytes_when_an_address_is_replaced() -> None:
    page = b'{ "data" : [{"email":"A.b@example.com", "x": 0.10000000000000000000000001, "y":1E-7,\n "n":"caf\\u00e9 \\u0040 noon"}]}'
    kept = without_emails(EXPORT, page)
    before, after = page.split(b'"A.b@example.com"')
    assert kept.startswith(before)
    assert kept.endswith(after)
    hidden = b'{"email": "jane.doe\\u0040example.com"}'
    assert b"jane" not in without_emails(EXPORT, hidden)
    assert (
        json.loads(without_emails(EXPORT, hidden))["email"]
        == json.loads(without_emails(EXPORT, b'{"email": "Jane.Doe@example.com"}'))["email"]
    )


def test_a_megabyte_without_a_space_is_searched_in_seconds() -> None:
    page = json.dumps({"data": ["x" * 1_000_000 + "@", "a@b" * 100_000]}).encode()
    started = time.monotonic()
    without_emails(EXPORT, page)
    assert time.monotonic() - started < 20
