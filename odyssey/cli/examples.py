"""Examples for each command's help: what people type most.

Promises: each is a line that the command takes as it stands.
Never: imports a command.
"""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "ps": ("odyssey ps", "odyssey ps --state failed", "odyssey ps --filter 'state:running took>1h !user:me'"),
    "history": (
        "odyssey history",
        "odyssey history --name fit --limit 100",
        "odyssey history --filter 'exit>0 age<1d'",
        "odyssey history --old",
    ),
    "show": ("odyssey show 42", "odyssey show last", "odyssey show --dag thesis"),
    "logs": ("odyssey logs last", "odyssey logs -f 42", "odyssey logs 42/7 --stderr --tail 20"),
    "attach": ("odyssey attach last", "odyssey attach 42/7"),
    "wait": ("odyssey wait 42 43", "odyssey wait --all"),
    "cancel": ("odyssey cancel 42", "odyssey cancel 42/7 fit last", "odyssey cancel --undo 30s 42"),
    "retry": ("odyssey retry 42", "odyssey retry 42/7"),
    "hold": ("odyssey hold 42",),
    "release": ("odyssey release 42",),
    "prio": ("odyssey prio 42 5", "odyssey prio fit -3"),
    "queue": ("odyssey queue", "odyssey queue --json"),
    "explain": ("odyssey why 42", "odyssey explain 42/7 --json"),
    "where": ("odyssey where last",),
    "up": ("odyssey up", "odyssey up --name nova"),
    "down": ("odyssey down", "odyssey down --now"),
    "status": ("odyssey status", "odyssey status --json"),
    "nodes": ("odyssey nodes",),
    "events": ("odyssey events -f", "odyssey events --limit 1000 --json"),
    "share": ("odyssey share", "odyssey share --cpus 50% --mem 8G", "odyssey share --hours 18:30-08:00 --quiet 22-08"),
    "network": ("odyssey network", "odyssey network trust", "odyssey network forget 192.168.1.0/24"),
    "invite": ("odyssey invite", "odyssey invite --for ben --uses 24 --for-hours 2"),
    "leave": ("odyssey leave", "odyssey leave --clean --yes"),
    "join": ("odyssey join", "odyssey join - --name pi4", "odyssey join --addr 192.168.1.20:7660"),
    "approve": ("odyssey approve", "odyssey approve pi4", "odyssey approve pi4 --deny"),
    "mesh": ("odyssey mesh recover", "odyssey mesh recover --yes"),
    "pause": ("odyssey pause", "odyssey pause 2h"),
    "resume": ("odyssey resume",),
    "policy": ("odyssey policy", "odyssey policy use pack", "odyssey policy set speed=80"),
    "doctor": ("odyssey doctor", "odyssey doctor nova"),
    "submit": ("odyssey submit fit.sh", "odyssey submit --cpus 4 fit.sh data.csv"),
    "flow": ("odyssey flow thesis.toml", "odyssey flow --dry-run thesis.toml"),
}  # run, map, node and completion show theirs among what they say of themselves
