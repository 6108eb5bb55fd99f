"""GPUs, as NVIDIA's tool and driver tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from odyssey.exec import gpus, probe
from odyssey.exec.gpus import Gpus

GIB = 1 << 30
TABLE = "NVIDIA A100-SXM4-40GB, 40960\nNVIDIA A100-SXM4-40GB, 40960\n"


def tool(**said: str) -> gpus.Run:
    def run(words: Sequence[str]) -> str:
        return said["table"] if len(words) > 1 else said.get("screen", "")

    return run


def test_what_the_tool_tells(tmp_path: Path) -> None:
    found = gpus.found(tool(table=TABLE, screen="| Driver Version: 550.1   CUDA Version: 12.4  |"), tmp_path)
    assert found == Gpus(2, 40 * GIB, "12.4", ("a100",))
    assert found.labels == {"gpu": "a100", "gpus": "2", "cuda": "12.4"}
    facts = probe.facts(tmp_path, found, tmp_path)
    assert (facts.total.gpus, facts.gpu_memory, dict(facts.labels)["cuda"]) == (1, 40 * GIB, "12.4")


def test_of_unequal_ones_the_smallest_counts(tmp_path: Path) -> None:
    table = "NVIDIA GeForce RTX 3080, 10240\nTesla T4, 15360\nnonsense\n, 5\nNVIDIA X, [N/A]\n"
    assert gpus.found(tool(table=table), tmp_path) == Gpus(2, 10 * GIB, "", ("rtx-3080", "t4"))


def test_without_the_tool_the_driver_tells_a_little(tmp_path: Path) -> None:
    for number in ("0000:01:00.0", "0000:02:00.0"):
        folder = tmp_path / "proc/driver/nvidia/gpus" / number
        folder.mkdir(parents=True)
        (folder / "information").write_text("Model: \t\t NVIDIA GeForce GTX 1080 Ti\nIRQ:   42\n")
    assert gpus.found(tool(table=""), tmp_path) == Gpus(2, 0, "", ("gtx-1080-ti",))


def test_where_there_is_nothing_nothing_is_told(tmp_path: Path) -> None:
    assert gpus.found(gpus.tool(str(tmp_path)), tmp_path) == Gpus()
    assert Gpus().labels == {}


@pytest.mark.parametrize("script", ["exit 9", "echo nonsense; exit 1", "kill -9 $$"])
def test_a_tool_that_fails_tells_nothing(tmp_path: Path, script: str) -> None:
    (tmp_path / gpus.TOOL).write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / gpus.TOOL).chmod(0o755)
    assert gpus.found(gpus.tool(f"{tmp_path}:/bin:/usr/bin"), tmp_path) == Gpus()


def test_the_tool_is_found_on_the_owners_path(tmp_path: Path) -> None:
    (tmp_path / gpus.TOOL).write_text('#!/bin/sh\ntest $# = 2 && echo "NVIDIA H100 80GB HBM3, 81559"\nexit 0\n')
    (tmp_path / gpus.TOOL).chmod(0o755)
    found = gpus.found(gpus.tool(f"{tmp_path}:/bin:/usr/bin"), tmp_path)
    assert (found.many, found.models) == (1, ("h100",))


def test_a_socket_of_docker_that_may_be_used_is_told(tmp_path: Path) -> None:
    assert "docker" not in probe.labels(tmp_path)
    (tmp_path / "var/run").mkdir(parents=True)
    (tmp_path / probe.DOCKER).touch()
    assert probe.labels(tmp_path)["docker"] == "yes"


def test_system_and_architecture_are_labels_too(tmp_path: Path) -> None:
    labels = probe.labels(tmp_path)
    facts = probe.facts(tmp_path)
    assert (labels["os"], labels["arch"]) == (facts.os, facts.arch)


@pytest.mark.parametrize(("told", "name"), [("aarch64", "arm64"), ("AMD64", "x86_64"), ("riscv64", "riscv64")])
def test_an_architecture_has_one_name(monkeypatch: pytest.MonkeyPatch, told: str, name: str, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.machine", lambda: told)
    assert probe.facts(tmp_path).arch == name
