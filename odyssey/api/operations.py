"""The one table of what can be asked: its name, what it takes, what it answers, whether it changes anything.

The door finds the handler by the name: a method of `desk.Desk`. The docs and the clients are made of the same rows.

Promises: one row for each request; a row that streams answers with any number of parts of its type, others once.
Never: renames a row: clients of an older version ask by the name.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from odyssey.api import requests as r
from odyssey.api import views as v


class Asker(Protocol):
    """A client, from the side of a face: `client.Client`, or a fake with fixed views. Errors are `odyssey.errors`."""

    def call(self, request: r.Request[r.A]) -> r.A: ...

    def stream(self, request: r.Request[r.A]) -> Iterator[r.A]:
        """The parts of an answer; whoever stops taking them, stops the asking."""
        ...


class Operation(NamedTuple):
    name: str
    request: type[r.Request[Any]]
    answer: type[v.View]
    streams: bool = False
    changes: bool = False


TABLE: Final = (
    Operation("status", r.Status, v.StatusView),
    Operation("nodes", r.Nodes, v.NodeList),
    Operation("submit", r.Submit, v.Submitted, changes=True),
    Operation("dry_run", r.DryRun, v.DryRunView),
    Operation("blob_put", r.PutBlob, v.HowFar, changes=True),
    Operation("stdin_put", r.PutStdin, v.HowFar, changes=True),
    Operation("jobs", r.Jobs, v.JobPage),
    Operation("job", r.Job, v.JobDetail),
    Operation("dag", r.Dag, v.DagView),
    Operation("cancel", r.Cancel, v.Changed, changes=True),
    Operation("retry", r.Retry, v.Changed, changes=True),
    Operation("hold", r.Hold, v.Changed, changes=True),
    Operation("release", r.Release, v.Changed, changes=True),
    Operation("prio", r.Prio, v.Changed, changes=True),
    Operation("wait", r.Wait, v.JobView, streams=True),
    Operation("follow", r.Follow, v.Told, streams=True),
    Operation("logs", r.Logs, v.Told, streams=True),
    Operation("watch", r.Watch, v.Picture, streams=True),
    Operation("events", r.Events, v.EventPage, streams=True),
    Operation("queue", r.Queue, v.QueueView),
    Operation("explain", r.Explain, v.ExplainView),
    Operation("history", r.History, v.JobPage),
    Operation("where", r.Where, v.WhereView),
    Operation("policy", r.Policy, v.PolicyView, changes=True),
    Operation("share", r.Share, v.ShareView, changes=True),
    Operation("pause", r.Pause, v.ShareView, changes=True),
    Operation("resume", r.Resume, v.ShareView, changes=True),
    Operation("doctor", r.Doctor, v.DoctorView),
    Operation("down", r.Down, v.Nothing, changes=True),
)

BY_NAME: Final = {one.name: one for one in TABLE}
BY_REQUEST: Final = {one.request: one for one in TABLE}
