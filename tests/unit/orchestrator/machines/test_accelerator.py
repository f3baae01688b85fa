"""The choice of accelerator, with the probe's runs replaced by known outcomes."""

from __future__ import annotations

import pathlib

import pytest

from orchestrator.errors import AcceleratorError
from orchestrator.machines import accelerator
from orchestrator.machines.accelerator import ProbeTimes, _Failure, choose

FAST = ProbeTimes(ring0=1, ring3=10, calls=1)
SLOW = ProbeTimes(ring0=100, ring3=100, calls=10)


class Lab:
    """Stands in for QEMU: what each (accelerator, cpu) does with the probe."""

    def __init__(self, outcomes: dict[tuple[str, str], ProbeTimes | _Failure]) -> None:
        self.outcomes = outcomes
        self.runs: list[tuple[str, str]] = []
        self.version = "QEMU emulator version 7.2.0"

    async def run_probe(
        self, probe: pathlib.Path, name: str, cpu: str, deadline_s: float
    ) -> ProbeTimes | _Failure:
        self.runs.append((name, cpu))
        return self.outcomes[name, cpu]

    async def qemu_version(self) -> str:
        return self.version


def write(path: pathlib.Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def exists(path: pathlib.Path) -> bool:
    return path.exists()


def set_up(
    monkeypatch: pytest.MonkeyPatch,
    outcomes: dict[tuple[str, str], ProbeTimes | _Failure],
    obstacle: str | None = None,
) -> Lab:
    lab = Lab(outcomes)
    monkeypatch.setattr(accelerator, "_run_probe", lab.run_probe)
    monkeypatch.setattr(accelerator, "qemu_version", lab.qemu_version)
    monkeypatch.setattr(accelerator, "kvm_obstacle", lambda: obstacle)
    return lab


@pytest.fixture
def probe(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "accelerator-probe.elf"
    path.write_bytes(b"probe")
    return path


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "cache" / "accelerator.json"


async def test_kvm_that_is_faster_wins(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    set_up(monkeypatch, {("tcg", "max"): SLOW, ("kvm", "host"): FAST})
    verdict = await choose("auto", probe, cache)
    assert (verdict.name, verdict.cpu) == ("kvm", "host")
    assert "12 ms" in verdict.reason and "210 ms" in verdict.reason


async def test_kvm_that_only_opens_loses(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    late = _Failure("after 1.0 s its last mark was start", timed_out=True)
    lab = set_up(monkeypatch, {("tcg", "max"): SLOW, ("kvm", "host"): late})
    verdict = await choose("auto", probe, cache)
    assert (verdict.name, verdict.cpu) == ("tcg", "max")
    assert "uselessly slow" in verdict.reason and late.cause in verdict.reason
    # A timeout says nothing about the CPU model: no second deadline is waited for.
    assert lab.runs == [("tcg", "max"), ("kvm", "host")]


async def test_kvm_slower_than_tcg_loses(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    set_up(monkeypatch, {("tcg", "max"): FAST, ("kvm", "host"): SLOW})
    assert (await choose("auto", probe, cache)).name == "tcg"


async def test_cpu_model_that_fails_is_replaced(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    set_up(
        monkeypatch,
        {
            ("tcg", "max"): SLOW,
            ("kvm", "host"): _Failure("failed to set MSR 0x10a"),
            ("kvm", "host,-arch-capabilities"): FAST,
        },
    )
    verdict = await choose("auto", probe, cache)
    assert (verdict.name, verdict.cpu) == ("kvm", "host,-arch-capabilities")


async def test_verdict_is_kept_until_something_changes(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    lab = set_up(monkeypatch, {("tcg", "max"): SLOW, ("kvm", "host"): FAST})
    first = await choose("auto", probe, cache)
    assert await choose("auto", probe, cache) == first
    assert len(lab.runs) == 2
    lab.version = "QEMU emulator version 8.0.0"
    await choose("auto", probe, cache)
    assert len(lab.runs) == 4
    write(probe, b"another probe")
    await choose("auto", probe, cache)
    assert len(lab.runs) == 6


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"key": 1}', b"\xff\xfe"])
async def test_damaged_cache_only_means_measuring_again(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path, damage: bytes
) -> None:
    lab = set_up(monkeypatch, {("tcg", "max"): SLOW, ("kvm", "host"): FAST})
    write(cache, damage)
    assert (await choose("auto", probe, cache)).name == "kvm"
    assert len(lab.runs) == 2
    assert (await choose("auto", probe, cache)).name == "kvm"
    assert len(lab.runs) == 2


async def test_no_device_means_tcg_without_measuring(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    lab = set_up(monkeypatch, {}, obstacle="there is no /dev/kvm")
    verdict = await choose("auto", probe, cache)
    assert (verdict.name, verdict.reason) == ("tcg", "TCG, because there is no /dev/kvm.")
    with pytest.raises(AcceleratorError, match="there is no /dev/kvm"):
        await choose("kvm", probe, cache)
    assert lab.runs == []


async def test_missing_probe_is_said_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, cache: pathlib.Path
) -> None:
    set_up(monkeypatch, {})
    verdict = await choose("auto", tmp_path / "missing.elf", cache)
    assert verdict.name == "tcg" and "missing.elf cannot be read" in verdict.reason
    assert not exists(cache)


async def test_named_tcg_overrides(
    monkeypatch: pytest.MonkeyPatch, probe: pathlib.Path, cache: pathlib.Path
) -> None:
    lab = set_up(monkeypatch, {("tcg", "max"): SLOW, ("kvm", "host"): FAST})
    assert (await choose("tcg", probe, cache)).name == "tcg"
    assert lab.runs == []


def test_obstacles_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(accelerator, "KVM_DEVICE", tmp_path / "kvm")
    assert accelerator.kvm_obstacle() == f"there is no {tmp_path / 'kvm'}"
    (tmp_path / "kvm").mkdir()
    assert "cannot be opened" in (accelerator.kvm_obstacle() or "")
