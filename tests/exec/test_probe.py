"""What a machine says that it is, and what a container says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odyssey.exec import probe
from odyssey.resources import M
from odyssey.scheduler.transitions.machines import check_facts

CPUS = len(os.sched_getaffinity(0))


def machine(root: Path, groups: str = "", **files: str) -> Path:
    written = {"proc/self/cgroup": groups, **{name.replace("__", "/"): text for name, text in files.items()}}
    for name, text in written.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def put(root: Path, name: str, text: str) -> None:
    (root / "sys/fs/cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "sys/fs/cgroup" / name).write_text(text)


def test_this_machine_is_one_that_the_log_takes(tmp_path: Path) -> None:
    found = probe.facts(tmp_path)
    check_facts(found)
    assert found.total.cpu_milli <= 1000 * CPUS
    assert found.total.memory > 64 * M
    assert found.total.disk % probe.GIB == 0
    assert dict(found.labels)["python"].count(".") == 1


def test_where_nothing_is_limited_all_is_there(tmp_path: Path) -> None:
    assert probe.cpu_milli(machine(tmp_path)) == 1000 * CPUS
    assert probe.memory(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("text", "milli"),
    [("50000 100000\n", 500), ("max 100000\n", 1000 * CPUS), ("1 100000\n", 100), ("nonsense\n", 1000 * CPUS)],
)
def test_a_container_has_its_part_of_the_cores(tmp_path: Path, text: str, milli: int) -> None:
    machine(tmp_path, "0::/a/b\n")
    put(tmp_path, "a/cpu.max", text)  # of a group above
    assert probe.cpu_milli(tmp_path) == milli


def test_the_older_kind_of_groups_counts_too(tmp_path: Path) -> None:
    machine(tmp_path, "4:cpu,cpuacct:/box\n3:memory:/box\n0::/\n")
    put(tmp_path, "cpu,cpuacct/box/cpu.cfs_quota_us", "25000")
    put(tmp_path, "cpu,cpuacct/box/cpu.cfs_period_us", "100000")
    put(tmp_path, "memory/box/memory.limit_in_bytes", str(96 * M))
    assert probe.cpu_milli(tmp_path) == 250
    assert probe.memory(tmp_path) == 96 * M


@pytest.mark.parametrize(("text", "limited"), [("67108864", True), ("max", False), ("9223372036854771712", False)])
def test_a_container_has_its_part_of_the_memory(tmp_path: Path, text: str, limited: bool) -> None:
    machine(tmp_path, "0::/box\n")
    put(tmp_path, "box/memory.max", text)
    assert (probe.memory(tmp_path) == 64 * M) is limited


def test_what_a_job_may_ask_for(tmp_path: Path) -> None:
    machine(tmp_path, **{"etc__os-release": 'NAME="Debian"\nID=debian\nVERSION_ID="12"\nEMPTY=\nnonsense\n'})
    assert probe.labels(tmp_path)["distro"] == "debian-12"
    assert "distro" not in probe.labels(tmp_path / "nowhere")


def test_a_disk_that_is_not_there_has_no_room(tmp_path: Path) -> None:
    assert probe.disk(tmp_path / "nowhere") == 0
