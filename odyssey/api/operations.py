"""The one table of what can be asked: its name, what it takes, what it answers, whether it changes anything.

The door finds the handler by the name: a method of `desk.Desk`. The docs and the clients are made of the same rows.

Promises: one row for each request; a row that streams answers with any number of parts of its type, others once.
Never: renames a row: clients of an older version ask by the name.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.rights import Right


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
    right: Right  # of another's job, who may; of what is no job's, everybody with SEE
    streams: bool = False
    changes: bool = False


TABLE: Final = (
    Operation("status", r.Status, v.StatusView, Right.SEE),
    Operation("facts", r.TellFacts, v.Known, Right.SEE, changes=True),
    Operation("invite", r.Invite, v.InviteView, Right.RULE, changes=True),
    Operation("asking", r.Asking, v.AskingView, Right.RULE),
    Operation("approve", r.Approve, v.Approval, Right.RULE, changes=True),
    Operation("nodes", r.Nodes, v.NodeList, Right.SEE),
    Operation("node", r.Node, v.NodeDetail, Right.SEE),
    Operation("label", r.Label, v.NodeDetail, Right.HERE, changes=True),
    Operation("rename", r.Rename, v.NodeDetail, Right.CHANGE, changes=True),
    Operation("drain", r.Drain, v.NodeDetail, Right.CHANGE, changes=True),
    Operation("remove", r.Remove, v.Removed, Right.CHANGE, changes=True),
    Operation("allow", r.Allow, v.Known, Right.RULE, changes=True),
    Operation("goodbye", r.Goodbye, v.Known, Right.SEE, changes=True),
    Operation("leave", r.Leave, v.LeavingView, Right.HERE, changes=True),
    Operation("invites", r.Invites, v.InviteList, Right.RULE),
    Operation("end_invites", r.EndInvites, v.InviteList, Right.RULE, changes=True),
    Operation("stepdown", r.StepDown, v.SteppedDown, Right.RULE, changes=True),
    Operation("recover", r.Recover, v.Recovered, Right.HERE, changes=True),
    Operation("submit", r.Submit, v.Submitted, Right.SEE, changes=True),
    Operation("dry_run", r.DryRun, v.DryRunView, Right.SEE),
    Operation("blob_put", r.PutBlob, v.HowFar, Right.SEE, changes=True),
    Operation("stdin_put", r.PutStdin, v.HowFar, Right.SEE, changes=True),
    Operation("type", r.Type, v.Typed, Right.CHANGE, changes=True),
    Operation("jobs", r.Jobs, v.JobPage, Right.SEE),
    Operation("job", r.Job, v.JobDetail, Right.SEE),
    Operation("dag", r.Dag, v.DagView, Right.SEE),
    Operation("cancel", r.Cancel, v.Changed, Right.CHANGE, changes=True),
    Operation("retry", r.Retry, v.Changed, Right.CHANGE, changes=True),
    Operation("hold", r.Hold, v.Changed, Right.CHANGE, changes=True),
    Operation("release", r.Release, v.Changed, Right.CHANGE, changes=True),
    Operation("prio", r.Prio, v.Changed, Right.CHANGE, changes=True),
    Operation("wait", r.Wait, v.JobView, Right.SEE, streams=True),
    Operation("follow", r.Follow, v.Told, Right.READ, streams=True),
    Operation("logs", r.Logs, v.Told, Right.READ, streams=True),
    Operation("watch", r.Watch, v.Picture, Right.SEE, streams=True),
    Operation("events", r.Events, v.EventPage, Right.SEE, streams=True),
    Operation("queue", r.Queue, v.QueueView, Right.SEE),
    Operation("explain", r.Explain, v.ExplainView, Right.SEE),
    Operation("history", r.History, v.JobPage, Right.SEE),
    Operation("where", r.Where, v.WhereView, Right.SEE),
    Operation("policy", r.Policy, v.PolicyView, Right.RULE, changes=True),
    Operation("share", r.Share, v.ShareView, Right.HERE, changes=True),
    Operation("pause", r.Pause, v.ShareView, Right.HERE, changes=True),
    Operation("resume", r.Resume, v.ShareView, Right.HERE, changes=True),
    Operation("network", r.Networks, v.NetworkList, Right.HERE, changes=True),
    Operation("doctor", r.Doctor, v.DoctorView, Right.HERE),
    Operation("down", r.Down, v.Stopping, Right.HERE, changes=True),
)

# What only a machine can do that lets others in.
ISSUED: Final = frozenset({"invite", "asking", "approve", "remove", "allow"})

BY_NAME: Final = {one.name: one for one in TABLE}
BY_REQUEST: Final = {one.request: one for one in TABLE}
