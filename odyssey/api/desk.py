"""Who answers what: the rows of `operations` and their handlers, over one daemon.

Promises: a handler for each row, by its name; after `close` the daemon is not listened to any more.
Never: knows how answers travel.
"""

from collections.abc import Mapping

from odyssey.api.belonging import Belonging
from odyssey.api.bringing import Bringing
from odyssey.api.chronicle import Chronicle
from odyssey.api.committing import Committing
from odyssey.api.door import Handler
from odyssey.api.errands import Handler as Errands
from odyssey.api.follow import Following
from odyssey.api.fresh import fresh
from odyssey.api.helm import Steering
from odyssey.api.jobs import Jobs
from odyssey.api.ledger import Ledger
from odyssey.api.logs import Logs
from odyssey.api.machines import Machines
from odyssey.api.past import Past
from odyssey.api.ports import Counter
from odyssey.api.showing import Showing
from odyssey.api.spool import Spool
from odyssey.api.submit import Submitting
from odyssey.api.surroundings import Surroundings
from odyssey.api.terminals import Terminals
from odyssey.api.visits import Visits
from odyssey.api.wait import Waiting
from odyssey.api.watch import Watching
from odyssey.api.why import Reasons


class Desk:
    """Made and closed on the daemon's loop."""

    def __init__(self, counter: Counter) -> None:
        committing = Committing(counter)
        self._visits = visits = Visits(counter)
        self.ledger, self._chronicle, self._spool = Ledger(counter), Chronicle(counter), Spool(counter, visits)
        past, machines = Past(counter, self.ledger), Machines(counter, committing, self.ledger)
        reasons, logs = Reasons(counter, past), Logs(counter, past)
        showing = Showing(counter, committing, machines)
        belonging = Belonging(counter, committing, showing)
        jobs = Jobs(counter, self.ledger, past, committing, reasons)
        steering = Steering(counter)
        self.blobs = self._spool.blobs
        errands: Mapping[str, Errands] = {
            **Bringing(counter, self._spool).handlers,
            "examine": machines.examine,
            "programs-on": machines.seek,
            "offer": belonging.offer,
        }
        self.errands = errands  # what other machines ask
        handlers: Mapping[str, Handler] = {
            "status": machines.status,
            "facts": machines.facts,
            "invite": machines.invite,
            "asking": machines.asking,
            "approve": machines.approve,
            "nodes": machines.nodes,
            "node": showing.node,
            "label": showing.label,
            "rename": showing.rename,
            "drain": showing.drain,
            "remove": belonging.remove,
            "allow": belonging.allow,
            "goodbye": belonging.goodbye,
            "leave": belonging.leave,
            "invites": belonging.invites,
            "end_invites": belonging.end_invites,
            "stepdown": steering.step_down,
            "recover": steering.recover,
            "submit": Submitting(counter, committing, self._spool, reasons).submit,
            "dry_run": reasons.dry_run,
            "blob_put": self._spool.blob_put,
            "stdin_put": self._spool.stdin_put,
            "type": Terminals(counter, visits).type,
            "jobs": jobs.jobs,
            "job": jobs.job,
            "dag": jobs.dag,
            "cancel": jobs.cancel,
            "retry": jobs.retry,
            "hold": jobs.hold,
            "release": jobs.release,
            "prio": jobs.prio,
            "wait": Waiting(counter, self.ledger, past).wait,
            "follow": Following(counter, self.ledger, past).follow,
            "logs": logs.logs,
            "watch": Watching(counter, self.ledger, jobs, machines, reasons).watch,
            "events": self._chronicle.events,
            "queue": reasons.queue,
            "explain": reasons.explain,
            "history": past.history,
            "where": logs.where,
            "policy": machines.policy,
            "share": machines.share,
            "pause": machines.pause,
            "resume": machines.resume,
            "network": Surroundings(counter).network,
            "doctor": machines.doctor,
            "down": machines.down,
        }
        self.handlers = fresh(counter.log, handlers)

    def close(self) -> None:
        self.ledger.close()
        self._chronicle.close()
        self._spool.close()
        self._visits.close()
