"""Lists of jobs that are narrowed where they are shown, and jobs as a tree."""

from __future__ import annotations

from typing import Any

import pytest

from odyssey.api.requests import Dag, History, Jobs, Status, Watch
from odyssey.api.views import DagView, JobPage, Picture
from tests.cli.desk import Result, a_job, type_in
from tests.cli.test_looking import a_status

JOBS = tuple(
    a_job(number, state, name=name, user=user, tags=tags)
    for number, state, name, user, tags in (
        (5, "failed", "fit", "anna", ()),
        (4, "done", "fit", "ben", (("k", "v"),)),
        (3, "done", "plot", "anna", (("k", "w"),)),
        (2, "waiting", "fit", "anna", (("k", "v"),)),
    )
)


def paged(request: Any) -> JobPage:
    """Two at a time, whatever is asked for."""
    left = [job for job in JOBS if not request.below or job.id < request.below]
    return JobPage(tuple(left[: min(2, request.limit)]), left[2].id + 1 if len(left) > 2 else 0)


def typed(*words: str, terminal: bool = False) -> Result:
    status = a_status(owner="anna")
    return type_in(*words, answers={Jobs: paged, History: paged, Status: status}, terminal=terminal)


def shown(result: Result) -> list[int]:
    assert result.status == 0, result.err.text
    return [int(line.split("\t")[0]) for line in result.out.lines]


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        ((), [5, 4, 3, 2]),
        (("--filter", "name:fit"), [5, 4, 2]),
        (("--filter", "fit !state:done"), [5, 2]),
        (("--user", "me"), [5, 3, 2]),
        (("--user", "ben"), [4]),
        (("--tag", "k=v"), [4, 2]),
        (("--tag", "k"), [4, 3, 2]),
        (("--tag", "k=v", "--user", "me"), [2]),
        (("--node", "nova", "--filter", "plot"), [3]),
        (("--node", "no"), []),
        (("--filter", "fit", "--limit", "2"), [5, 4]),
    ],
)
@pytest.mark.parametrize("verb", ["ps", "history"])
def test_only_what_fits_is_shown_over_all_pages(verb: str, words: tuple[str, ...], jobs: list[int]) -> None:
    assert shown(typed(verb, *words)) == jobs


def test_who_asks_is_only_asked_for_where_it_matters() -> None:
    assert [type(one) for one in typed("ps", "--filter", "fit").asked] == [Jobs, Jobs]
    assert isinstance(typed("ps", "--user", "me").asked[0], Status)


def test_a_filter_by_state_looks_at_older_ones_too() -> None:
    assert all(one.everything for one in typed("ps", "--filter", "state:done").asked if isinstance(one, Jobs))
    assert not any(one.everything for one in typed("ps", "--filter", "fit").asked if isinstance(one, Jobs))


def test_that_there_are_more_is_only_said_where_some_would_fit() -> None:
    assert "older than job 4" in typed("ps", "--limit", "2", terminal=True).err.text
    assert typed("ps", terminal=True).err.text == ""


def test_a_mistake_asks_nobody() -> None:
    result = typed("ps", "--filter", "fit staet:x")
    assert (result.status, result.asked) == (2, [])
    assert result.error == "error: --filter: 'staet' at character 5 is no key"


def test_a_watch_shows_what_fits() -> None:
    pictures = [Picture(True, JOBS, (), None, None), Picture(False, (a_job(6, name="plot"),), (), None, None)]
    result = type_in("ps", "--watch", "--filter", "plot", answers={Watch: pictures})
    assert shown(result) == [3, 6]


# -- as a tree ---------------------------------------------------------------------------------------------------------


def test_the_tree_shows_states_and_marks_the_longest_chain() -> None:
    done = a_job(1, name="fetch", started_at=1000, ended_at=2000)
    fit = a_job(2, "running", name="fit", started_at=None)
    plot = a_job(3, "waiting", name="plot", started_at=None, reason="waits for jobs 1, 2")
    view = DagView(2, (done, fit, plot), ((1, 2), (1, 3), (2, 3)), (1, 2, 3))
    assert type_in("show", "--dag", "2", answers={Dag: view}).out.lines == [
        "✓ 1 fetch done 1s *",
        "└─ ▶ 2 fit running * <- this one",
        "   └─ · 3 plot waiting (waits for jobs 1, 2) *",
        "* the longest chain: 1 -> 2 -> 3, 1s so far",
    ]


def test_a_job_alone_says_so() -> None:
    result = type_in("show", "--dag", "1", answers={Dag: DagView(1, (a_job(1),), (), ())})
    assert result.out.lines[-1] == "no other job waits for it, and it waits for none"
