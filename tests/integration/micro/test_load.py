"""The load generator: each measurement gives its samples; stopped calls leave nothing behind."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from experiments import micro_runs
from orchestrator.micro.build import Product, build
from orchestrator.micro.toolchain import Toolchain
from tests.integration.micro.conftest import sample

MILLISECOND_NS = 1_000_000


@pytest.fixture
def measure(toolchain: Toolchain, tmp_path: pathlib.Path) -> Any:
    cores = sorted(os.sched_getaffinity(0))

    def run(measurement: str, functions: list[str], product: Product, **options: int) -> Any:
        paths = [str(build(sample(name), toolchain, product)) for name in functions]
        listed = tmp_path / "functions"
        listed.write_text("\n".join(paths) + "\n")
        command = [str(toolchain.load), measurement, "--worker", str(toolchain.worker)]
        command += ["--functions", str(listed), "--mechanism"]
        command += ["unwind" if product is Product.UNWIND else "escape"]
        options = {"load_core": cores[0], "worker_core": cores[-1]} | options
        options = {"quantum_ns": MILLISECOND_NS} | options
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize(
    ("measurement", "product", "names"),
    [
        ("warm", Product.ESCAPE, {"latency_ns", "run_ns"}),
        ("cold", Product.ESCAPE, {"latency_ns", "load_ns"}),
        ("cold", Product.UNWIND, {"latency_ns", "load_ns"}),
        ("process-warm", Product.PROCESS, {"latency_ns"}),
        ("process-cold", Product.PROCESS, {"latency_ns"}),
    ],
)
def test_latencies(measure: Any, measurement: str, product: Product, names: set[str]) -> None:
    told = measure(measurement, ["timestamp"], product, requests=20, warm_up=5)
    assert set(told) == names
    assert all(len(told[name]) == 20 and min(told[name]) > 0 for name in names)


@pytest.mark.parametrize(
    ("measurement", "product"),
    [
        ("throughput", Product.ESCAPE),
        ("bare", Product.ESCAPE),
        ("process-throughput", Product.PROCESS),
    ],
)
def test_throughput(measure: Any, measurement: str, product: Product) -> None:
    told = measure(measurement, ["sha512"], product, milliseconds=100)
    assert told["answered"] > 0
    assert told["elapsed_ns"] >= 100 * MILLISECOND_NS


def test_jitter(measure: Any) -> None:
    told = measure("jitter", ["sha512"], Product.ESCAPE, requests=20, milliseconds=5000)
    assert len(told["interval_ns"]) == 20


def test_memory(measure: Any) -> None:
    library = measure("memory", ["timestamp"] * 3, Product.ESCAPE)
    processes = measure("process-memory", ["timestamp"] * 3, Product.PROCESS)
    assert library["functions"] == processes["functions"] == 3
    assert 0 < library["proportional_bytes"] < processes["proportional_bytes"]


def test_stopped_calls_leave_memory_flat(measure: Any) -> None:
    told = measure(
        "preempted",
        ["allocate", "leak"],
        Product.ESCAPE,
        requests=1000,
        budget_us=500,
        quantum_ns=200_000,
        milliseconds=60_000,
    )
    assert len(told["wait_ns"]) == 1000
    assert min(told["stopped_after_ns"]) >= 500_000
    settled = told["resident_bytes"][10:]
    assert max(settled) - settled[0] <= 64 << 10


@pytest.mark.parametrize("function", ["spin", "allocate", "sort"])
def test_escape_costs_no_worker(measure: Any, function: str) -> None:
    told = measure(
        "survival",
        [function],
        Product.ESCAPE,
        requests=500,
        batch=250,
        budget_us=300,
        quantum_ns=200_000,
    )
    numbers = ("workers", "stopped", "other_endings", "died", "hung")
    assert [told[name] for name in numbers] == [2, 500, 0, 0, 0]


def test_faults_are_told(toolchain: Toolchain) -> None:
    for arguments, fault in (
        (["hope"], "no such measurement"),
        (["warm", "--colour", "1"], "no option --colour"),
        (["warm", "--requests", "x"], "no number"),
        (["cold"], "--functions names none"),
        (["warm", "--worker", "/missing"], "/missing"),
    ):
        done = subprocess.run(
            [str(toolchain.load), *arguments], capture_output=True, text=True, check=False
        )
        assert (done.returncode, fault in done.stderr) == (1, True), done.stderr


async def test_functions_of_results_in_a_relative_folder(
    toolchain: Toolchain, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite's results are below the folder it was started in."""
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    cores = sorted(os.sched_getaffinity(0))
    plan = micro_runs.Plan(1, 1, True, cores[0], cores[-1])
    with micro_runs.generator(plan, pathlib.Path("results")) as load:
        copies = await load.copies(build(sample("timestamp"), toolchain, Product.ESCAPE), 2)
        parameters = {"requests": 10, "warm_up": 2, "quantum_ns": MILLISECOND_NS}
        done = await load.run("warm", "language warm", 0, copies, parameters)
    assert done.error is None, done
    assert [*(tmp_path / "results").iterdir()] == []


def test_a_relative_library_is_refused_and_the_worker_lives(
    toolchain: Toolchain, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "here.so").write_bytes(
        build(sample("timestamp"), toolchain, Product.ESCAPE).read_bytes()
    )
    (tmp_path / "functions").write_text("./here.so\n")
    command = [str(toolchain.load), "warm", "--worker", str(toolchain.worker)]
    command += ["--functions", "functions", "--requests", "1", "--warm-up", "1"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    # An ending, told by a worker that is still there.
    assert done.returncode != 0 and "request 0 ended with" in done.stderr
