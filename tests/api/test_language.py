"""The language of the local door: the table, the records, the frames, the documents."""

from pathlib import Path
from typing import Any

import pytest

from odyssey import wire
from odyssey.api import frames, operations
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.documents import document, rfc3339
from odyssey.errors import TooLarge


def requests() -> list[type[r.Request[Any]]]:
    return [kind for kind in vars(r).values() if isinstance(kind, type) and issubclass(kind, r.Request)][1:]


def test_there_is_one_row_for_each_request_and_it_answers_what_the_request_says() -> None:
    assert sorted(map(str, operations.BY_REQUEST)) == sorted(map(str, requests()))
    assert len(operations.BY_NAME) == len(operations.TABLE)
    for row in operations.TABLE:
        assert row.request.__orig_bases__[0].__args__ == (row.answer,)  # type: ignore[attr-defined]


def test_the_protocol_names_every_operation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text()
    for row in operations.TABLE:
        assert f"| `{row.name}` | {row.request.__name__} | {row.answer.__name__} | {row.right.value} |" in text


def test_what_a_newer_client_says_more_is_left_alone() -> None:
    assert wire.decode(wire.encode(("ask", 1, "jobs", b"", 7)), frames.ToDaemon) == frames.Ask(1, "jobs", b"")
    assert wire.decode(wire.encode(("last", 1)), r.Hold) == r.Hold("last")


def test_a_frame_is_its_length_and_a_record() -> None:
    data = frames.packed(frames.Ask(7, "jobs", b"\x90"))
    assert frames.length(data[: frames.LENGTH]) == len(data) - frames.LENGTH
    assert wire.decode_message(data[frames.LENGTH :], frames.ToDaemon) == frames.Ask(7, "jobs", b"\x90")


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        frames.length((frames.FRAME.bytes + 1).to_bytes(frames.LENGTH, "big"))
    with pytest.raises(TooLarge):
        frames.packed(frames.Reply(1, bytes(frames.FRAME.bytes)))
    frames.packed(frames.Reply(1, bytes(frames.BODY.bytes)))


def test_a_document_has_the_fields_that_scripts_rely_on() -> None:
    counts = v.Counts(1, 0, 0, 1, 0, 0, 0)
    job = v.JobView(42, "fit", "anna", "done", counts, "titan", 1, 0, None, 1_700_000_000_123, None, 1_700_000_001_000)
    shown = document(job)
    assert shown["submitted_at"] == "2023-11-14T22:13:20.123Z"
    assert shown["started_at"] is None
    assert shown["tasks"] == {
        "total": 1, "waiting": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 0, "skipped": 0,
    }  # fmt: skip


def test_a_detail_has_the_fields_of_its_job_beside_its_own() -> None:
    counts = v.Counts(1, 1, 0, 0, 0, 0, 0)
    job = v.JobView(1, "", "anna", "waiting", counts, None, 0, None, None, 1, None, None)
    spec = v.SpecView(
        (b"cat", b"\xff"), b"/", ((b"A", None),), "1", 0, False, 0, 0, 0, "", "", "", (), (), 1, 0, 1, 0, 0, (), 0,
        False, (), (), False, False, None,
    )  # fmt: skip
    shown = document(v.JobDetail(job, spec, ()))
    assert shown["id"] == 1
    assert shown["task_list"] == []
    assert shown["spec"]["argv"] == ["cat", "\\xff"]
    assert "job" not in shown


def test_times_are_utc_with_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
