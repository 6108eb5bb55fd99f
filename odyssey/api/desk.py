"""Who answers what: the rows of `operations` and their handlers, over one daemon.

Promises: a handler for each row, by its name.
Never: knows how answers travel.
"""

from collections.abc import Mapping

from odyssey.api.committing import Committing
from odyssey.api.door import Handler
from odyssey.api.follow import Following
from odyssey.api.jobs import Jobs
from odyssey.api.ledger import Ledger
from odyssey.api.machines import Machines
from odyssey.api.ports import Counter
from odyssey.api.submit import Submitting


def handlers(counter: Counter) -> Mapping[str, Handler]:
    ledger, committing = Ledger(counter), Committing(counter)
    jobs = Jobs(counter, ledger, committing)
    machines = Machines(counter)
    return {
        "status": machines.status,
        "nodes": machines.nodes,
        "submit": Submitting(counter, committing).submit,
        "jobs": jobs.jobs,
        "job": jobs.job,
        "cancel": jobs.cancel,
        "retry": jobs.retry,
        "hold": jobs.hold,
        "release": jobs.release,
        "prio": jobs.prio,
        "follow": Following(counter, ledger).follow,
        "down": machines.down,
    }
