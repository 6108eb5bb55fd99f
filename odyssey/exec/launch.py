"""What an attempt is started with: its words, environment, directory, standard input and limits.

Promises: pure; the same attempt on the same machine gets the same. What is known beforehand to be impossible here is
a Trouble with one sentence.
Never: looks at the disk: whether a program or a directory is there is found out by whoever starts it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from odyssey.exec.supervisor.frames import TERMINAL
from odyssey.exec.supervisor.orders import NO_TERMINAL, packed, packed_env
from odyssey.ids import index_of, job_of
from odyssey.messages import Listed
from odyssey.model import Outcome
from odyssey.spec import JobSpec, Own

THREADS: Final = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "JULIA_NUM_THREADS",
)
_ONE_CPU: Final = 1000


class Machine(NamedTuple):
    """What all attempts on this machine have in common."""

    name: str  # of the node
    path: bytes  # where its owner's programs are
    home: bytes = b""
    user: bytes = b""
    shell: bytes = b""
    language: bytes = b"C.UTF-8"


class Launch(NamedTuple):
    order: bytes  # for a runner
    room: int  # equal for those that need the same
    timeout_ms: int = 0
    memory: int = 0  # as a limit; 0: none
    stdin: bytes = b""


class Trouble(NamedTuple):
    """Why it cannot be started here."""

    outcome: Outcome
    why: str


Words = Callable[[JobSpec, int], Own | None]  # of one task of a job with `items`; None: not here


class Launcher:
    """Keeps what the tasks of one job have in common, for the next task of it."""

    def __init__(self, machine: Machine, words: Words) -> None:
        self._machine, self._words = machine, words
        self._spec: JobSpec | None = None
        self._common = b""
        self._room = 0

    def __call__(self, one: Listed, spec: JobSpec) -> Launch | Trouble:
        if spec is not self._spec:
            self._spec, self._common, self._room = spec, packed_env(self._common_env(spec)), _room(spec)
        position = index_of(one.task)
        argv, item = spec.argv, b""
        if spec.items:
            own = self._words(spec, position)
            if own is None:
                return Trouble(Outcome.NOT_HERE, "the words of this task are not on this machine")
            argv, item = own.words, own.item
        own_env = _own_env(one, spec, position, item)
        order = packed(one.attempt, one.task, argv, self._common, own_env, spec.cwd, spec.stdin, spec.terminal)
        memory = spec.want.need.memory if spec.memory_is_limit else 0
        return Launch(order, self._room, spec.timeout_ms, memory, spec.stdin)

    def _common_env(self, spec: JobSpec) -> dict[bytes, bytes]:
        """What was asked for wins over what the machine says, and both over what we think is useful."""
        machine = self._machine
        env = {b"LANG": machine.language, b"PYTHONUNBUFFERED": b"1", b"PATH": machine.path}
        env |= {
            name: value
            for name, value in ((b"HOME", machine.home), (b"USER", machine.user), (b"SHELL", machine.shell))
            if value
        }
        if machine.user:
            env[b"LOGNAME"] = machine.user
        cpu_milli = spec.want.need.cpu_milli
        if spec.count > 1 or cpu_milli != _ONE_CPU:
            threads = b"%d" % max(1, cpu_milli // _ONE_CPU)
            env |= {name.encode(): threads for name in THREADS}
        env[b"ODYSSEY_CPUS"] = (
            b"%d.%03d" % divmod(cpu_milli, _ONE_CPU) if cpu_milli % _ONE_CPU else b"%d" % (cpu_milli // _ONE_CPU)
        )
        env[b"ODYSSEY_NODE"] = machine.name.encode()
        return env | dict(spec.env)


def _own_env(one: Listed, spec: JobSpec, position: int, item: bytes) -> dict[bytes, bytes]:
    env = {
        b"ODYSSEY_JOB": b"%d" % job_of(one.task),
        b"ODYSSEY_TASK": b"%d" % position,
        b"ODYSSEY_ATTEMPT": b"%d" % one.attempt,
        b"ODYSSEY_INDEX": b"%d" % (spec.start + position * spec.step),
    }
    if one.number:
        env[b"ODYSSEY_TRY"] = b"%d" % one.number
    if item:
        env[b"ODYSSEY_ITEM"] = item
    return env


def _room(spec: JobSpec) -> int:
    if spec.terminal != NO_TERMINAL:
        return TERMINAL
    need = spec.want.need
    return hash((need.cpu_milli, need.memory, need.gpus, need.disk, spec.memory_is_limit)) & (1 << 64) - 1
