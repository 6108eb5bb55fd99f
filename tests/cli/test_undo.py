"""A cancel that can be taken back."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from odyssey.api.requests import Cancel, Job
from odyssey.api.views import Changed, JobDetail
from tests.cli.desk import a_job, type_in
from tests.cli.test_attached import SPEC

FOUND = JobDetail(a_job(7, "running"), SPEC, ())
ANSWERS = {Job: FOUND, Cancel: Changed(7, 1)}
ASKED = Job("fit", limit=0)


def test_when_the_time_is_over_it_is_cancelled() -> None:
    result = type_in("cancel", "--undo", "1ms", "fit", answers=ANSWERS)
    assert (result.status, result.asked) == (0, [ASKED, Cancel("fit")])


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGINT, []), (signal.SIGHUP, [Cancel("fit")]), (signal.SIGTERM, [Cancel("fit")])]
)
def test_only_who_asks_for_it_gets_it_back(number: int, after: list[object]) -> None:
    before = signal.getsignal(number)

    def when_it_is_heard() -> None:
        until = time.monotonic() + 20
        while signal.getsignal(number) is before:
            assert time.monotonic() < until
            time.sleep(0.001)
        os.kill(os.getpid(), number)

    presser = threading.Thread(target=when_it_is_heard)
    presser.start()
    result = type_in("cancel", "--undo", "1h", "fit", answers=ANSWERS)
    presser.join()
    assert (result.status, result.asked) == (0, [ASKED, *after])
    assert signal.getsignal(number) is before
