"""Law 9 for pulls: kill -9 between any two pages, and the pull goes on to the same rows, without a doubled page."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.ingest.pull.api_server import ApiServer, Fault
from tests.ingest.pull.conftest import COMPLETIONS, NOW, Estate

PAGES = 15
KILLS = 6
_VICTIM = """
import datetime as dt, sys
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.pull.client import Manners
from ingest.pull.run import pull_exports
settings = Settings.load(home=sys.argv[1], lake=sys.argv[1] + "/lake", config_dir=sys.argv[1] + "/config")
print("go", flush=True)
pull_exports(settings, ["pulled"], FixedClock(dt.datetime.fromisoformat(sys.argv[2])), manners=Manners(pause_seconds=0))
"""


@pytest.mark.usefixtures("month")
def test_a_killed_pull_goes_on_where_it_was_and_ends_at_the_same_rows(estate: Estate, api: ApiServer) -> None:
    chance = random.Random(20261128)
    api.page_buckets = 2
    api.faults = {number: Fault(delay_seconds=0.05) for number in range(1, 1000)}
    killed = 0
    for _ in range(KILLS):
        begun = len(api.requests)
        victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM, str(estate.settings.home), NOW.isoformat()],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert victim.stdout is not None
        assert victim.stdout.readline() == "go\n"
        while len(api.requests) == begun and victim.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.15))
        if victim.poll() is None:
            os.killpg(victim.pid, signal.SIGKILL)
            killed += 1
        victim.communicate()
        assert estate.folders() == ["pull-000001-completions"]
    assert killed >= KILLS // 2, "the kills came too late to prove anything"
    estate.both()
    asked = [params.get("page", ["first"])[0] for params in api.asked(COMPLETIONS)]
    assert len(set(asked)) == PAGES
    assert len(asked) <= PAGES + killed, "only the page that a kill interrupted is asked for again"
    folder = estate.root / "pull-000001-completions"
    assert sorted(path.name for path in folder.iterdir()) == [*(f"page-{n:05d}.json" for n in range(1, PAGES + 1)), "pull.json"]
    assert estate.rows("SELECT count(*)::INT, sum(input_tokens)::INT FROM bronze.openai_usage") == [(30, sum(range(1, 31)))]
