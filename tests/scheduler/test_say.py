"""What people read, word for word, in the situations that they meet most."""

import pytest

from odyssey.commands import AgeQueue
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Outcome
from odyssey.scheduler import say
from odyssey.scheduler.explain import Verdict, Waiting, Why, dry_run, waiting
from odyssey.scheduler.feasible import Code, Reason
from odyssey.scheduler.placement import placement
from odyssey.scheduler.plan import plan
from odyssey.scheduler.remedy import Change
from odyssey.scheduler.snapshot import NodeState, OwnerState, Pause, Seen
from odyssey.spec import Blob, JobSpec
from tests.builders import GIB, Mesh, a_spec
from tests.scheduler.asking import taught

TITAN, ATLAS, BOOK = NodeNumber(1), NodeNumber(2), NodeNumber(3)
SEEN = dict[NodeNumber, Seen]


def a_mesh() -> Mesh:
    """titan, a big machine that ben shares; anna's atlas and book."""
    mesh = Mesh()
    mesh.machine("titan", owner="ben", cpus=16, memory=64 * GIB, gpus=1, gpu_memory=24 * GIB, shared=True)
    mesh.machine("atlas", cpus=8, memory=16 * GIB, gpus=1, gpu_memory=12 * GIB)
    mesh.machine("book", cpus=4, memory=8 * GIB, arch="aarch64")
    return mesh


def told(mesh: Mesh, job: int, seen: SEEN | None = None) -> list[str]:
    answer = waiting(mesh.snapshot(seen), JobId(job))
    assert answer is not None
    return say.waiting(mesh.snapshot(seen), answer)


def tried(mesh: Mesh, spec: JobSpec, seen: SEEN | None = None) -> list[str]:
    return say.dry_run(mesh.snapshot(seen), spec, dry_run(mesh.snapshot(seen), spec))


# -- why it waits ------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_for_a_gpu() -> None:
    mesh = a_mesh()
    taught(mesh, "train", 1_560_000, on=TITAN, user="ben")
    first = mesh.submit(user="ben", gpus=1, key="train")
    mesh.assign(first, TITAN)
    job = mesh.submit(gpus=1, gpu_memory=20 * GIB)
    assert told(mesh, job, {TITAN: Seen(elapsed_ms={mesh.attempt(first): 60_000})}) == [
        "all machines that can run it are busy",
        "titan: busy, 1 GPU short, free in about 25m",
        "atlas: too small by 8 GB GPU memory",
        "book: too small by 20 GB GPU memory",
        "starts in about 25m on titan",
        "would start now with --gpu-mem 12G (atlas)",
    ]


def test_a_job_that_is_too_big() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(cpus=2), TITAN)
    assert told(mesh, mesh.submit(cpus=64)) == [
        "no machine can run it as it is",
        "titan: too small by 48 cpus",
        "atlas: too small by 56 cpus",
        "book: too small by 60 cpus",
        "would start now with --cpus 14 (titan)",
    ]


def test_a_job_whose_machines_are_away() -> None:
    away = {
        TITAN: Seen(owner=OwnerState.IN_USE),
        ATLAS: Seen(state=NodeState.ASLEEP),
        BOOK: Seen(owner=OwnerState.PAUSED),
    }
    mesh = a_mesh()
    assert told(mesh, mesh.submit(), away) == [
        "the machines that could run it are not available",
        "titan: in use by ben",
        "book: paused by anna",
        "atlas: asleep",
    ]


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (Seen(owner=OwnerState.PAUSED), "paused by anna"),
        (Seen(owner=OwnerState.PAUSED, pause=Pause.ASKED), "paused by anna"),
        (Seen(owner=OwnerState.PAUSED, pause=Pause.BATTERY), "on battery"),
        (Seen(owner=OwnerState.PAUSED, pause=Pause.LID), "its lid is closed"),
        (Seen(owner=OwnerState.PAUSED, pause=Pause.HOURS), "outside the hours in which it gives"),
        (Seen(owner=OwnerState.PAUSED, pause=Pause.RULES), "its owner's rules cannot be followed"),
        (Seen(state=NodeState.ASLEEP), "asleep"),
    ],
)
def test_where_only_one_machine_could_its_own_reason_is_the_reason(seen: Seen, text: str) -> None:
    mesh = a_mesh()
    job = mesh.submit(on=("book",))
    assert told(mesh, job, {BOOK: seen})[0] == f"book: {text}"
    assert sum("book:" in line for line in told(mesh, job, {BOOK: seen})) == 1


def test_a_job_that_names_its_machine() -> None:
    mesh = a_mesh()
    assert told(mesh, mesh.submit(on=("book",), needs="has:ffmpeg")) == [
        "no machine can run it as it is",
        "titan: is not book, as --on asks",
        "atlas: is not book, as --on asks",
        "book: does not meet --needs has:ffmpeg",
        "would start now without --needs (book)",
    ]


def test_jobs_behind_others() -> None:
    mesh = Mesh()
    mesh.machine("book", cpus=2)
    taught(mesh, "cook", 90_000, on=1)
    mesh.assign(mesh.submit(cpus=1, key="cook"), 1)
    mesh.submit(cpus=2, count=3)
    second = mesh.submit(cpus=2)
    assert told(mesh, second) == [
        "all machines that can run it are busy",
        "book: busy, 1 cpu short, free in about 1m30s",
        "3 tasks like it come first",
        "would start now with --cpus 1 (book)",
    ]
    mesh.do(AgeQueue(mesh.fence))
    assert told(mesh, mesh.submit(cpus=1)) == [
        "all machines that can run it are busy",
        "book: kept free for a task that has waited longer",
    ]


def test_a_job_that_starts() -> None:
    mesh = a_mesh()
    assert told(mesh, mesh.submit(cpus=8)) == [
        "it starts now",
        "titan: free",
        "atlas: free",
        "book: too small by 4 cpus",
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Waiting(JobId(9), Why.HELD), "held"),
        (Waiting(JobId(9), Why.PARENTS, (JobId(7),)), "waits for job 7"),
        (Waiting(JobId(9), Why.PARENTS, (JobId(7), JobId(8))), "waits for jobs 7, 8"),
        (Waiting(JobId(9), Why.BACKOFF, backoff_ms=4200), "it is tried again after a pause of about 4.2s"),
        (Waiting(JobId(9), Why.NO_MACHINES), "the mesh has no machine yet"),
        (Waiting(JobId(9), Why.FASTER_SOON), "it is left to a faster machine, which is done sooner than the free one"),
        (Waiting(JobId(9), Why.NOT_WAITING), "it does not wait"),
    ],
)
def test_what_is_not_about_machines_is_one_sentence(answer: Waiting, expected: str) -> None:
    assert say.waiting(Mesh().snapshot(), answer) == [expected]


# -- what would happen -------------------------------------------------------------------------------------------------


def test_a_dry_run() -> None:
    mesh = a_mesh()
    assert tried(mesh, a_spec(cpus=8)) == ["it would start now on titan", "atlas: free", "book: too small by 4 cpus"]
    assert tried(mesh, a_spec(cpus=8, count=5))[0] == "it would start now on titan with the first of 5 tasks"
    assert tried(mesh, a_spec(held=True)) == ["it would be held"]
    assert tried(mesh, a_spec(arch="riscv64")) == [
        "it would wait: no machine can run it as it is",
        "titan: is x86_64",
        "atlas: is x86_64",
        "book: is aarch64",
        "would start now without --arch (titan)",
    ]
    assert tried(mesh, a_spec(cpus=0.001, needs="(a")) == [
        "error: --cpus 0.001 is too little",
        "hint: use at least --cpus 0.01",
        "error: --needs: '(' at character 1 is not closed",
        "hint: for example: has:ffmpeg, cuda>=12, gpu=a100 | gpu=h100, not has:battery",
    ]


def test_a_change_that_only_makes_it_possible_does_not_promise_a_start() -> None:
    assert say.change(Change("--cpus 8", False, ATLAS, False, 10), "atlas") == "could run with --cpus 8 (atlas)"
    assert say.change(Change("--on", True, ATLAS, False, 10), "atlas") == "could run without --on (atlas)"


# -- why it went there -------------------------------------------------------------------------------------------------


def test_a_placement() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(cpus=4), BOOK)
    job = mesh.submit(cpus=2, inputs=(Blob(b"film", 3 * GIB),))
    seen = {TITAN: Seen(mains=True), ATLAS: Seen(blobs=frozenset({b"film"}), mains=False)}
    mesh.carry_out(plan(mesh.snapshot(seen)))
    answer = placement(mesh.task(job).attempts[0])
    assert answer is not None
    assert say.placement(mesh.snapshot(), answer) == [
        "atlas by weighted, score 105.0",
        "atlas 105.0 = owner 5.0 + reliability 20.0 + room 15.0 + speed 60.0 + stay 5.0",
        "titan 86.7 = locality -30.7 + owner 5.0 + power 10.0 + reliability 20.0 + room 17.5 + speed 60.0 + stay 5.0",
        "1 not asked: full",
        "titan was 18.2 behind; it would have been ahead if locality counted at most 40 % of what it does",
    ]


def test_a_machine_that_has_left_is_told_by_its_number() -> None:
    mesh = a_mesh()
    job = mesh.submit(on=("book",))
    mesh.carry_out(plan(mesh.snapshot()))
    answer = placement(mesh.task(job).attempts[0])
    assert answer is not None
    assert say.placement(Mesh().snapshot(), answer)[0].startswith("machine 3 by weighted, score ")


@pytest.mark.parametrize(
    ("score", "text"), [(0, "0.0"), (99, "0.0"), (100, "0.1"), (81_780, "81.7"), (-30_720, "-30.7"), (-50, "0.0")]
)
def test_points_are_told_to_a_tenth(score: int, text: str) -> None:
    assert say.points(score) == text


# -- words for everything ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", Code)
def test_every_code_has_words_of_its_own(code: Code) -> None:
    said = {other: say.reason(Reason(other, (("memory", GIB),), "ben")) for other in Code}
    assert said[code].isprintable()
    assert code.name not in said[code]
    assert [other for other, text in said.items() if text == said[code]] in (
        [code],
        [Code.TOO_SMALL, Code.GPU_MEMORY],  # these say what is missing
    )


@pytest.mark.parametrize("why", Why)
def test_every_answer_has_words_of_its_own(why: Why) -> None:
    said = [say.overall(Waiting(JobId(1), other, (JobId(7),), 1000)) for other in Why]
    assert said.count(say.overall(Waiting(JobId(1), why, (JobId(7),), 1000))) == 1
    assert all(text and text.isprintable() for text in said)


@pytest.mark.parametrize(
    ("lacks", "text"),
    [
        ((("cpu_milli", 1000),), "pc: busy, 1 cpu short"),
        ((("cpu_milli", 500),), "pc: busy, 0.5 cpus short"),
        ((("cpu_milli", 2000), ("memory", 3 * GIB)), "pc: busy, 2 cpus, 3 GB memory short"),
        ((("gpus", 1),), "pc: busy, 1 GPU short"),
        ((("gpus", 2), ("disk", GIB // 2)), "pc: busy, 2 GPUs, 512 MB disk short"),
    ],
)
def test_what_is_missing_is_told_with_its_unit(lacks: tuple[tuple[str, int], ...], text: str) -> None:
    assert say.verdict(Verdict(TITAN, "pc", Reason(Code.FULL, lacks), None, {})) == text


def test_a_task_that_was_there_before() -> None:
    mesh = Mesh()
    mesh.machine("book")
    mesh.machine("atlas", memory=4 * GIB)
    job = mesh.submit()
    for node, outcome in ((1, Outcome.NOT_HERE), (2, Outcome.OOM)):
        mesh.assign(job, node)
        mesh.report(job, outcome=outcome)
    assert told(mesh, job) == [
        "no machine can run it as it is",
        "atlas: it ran out of memory on a machine of this size",
        "book: the command was not found there",
    ]
