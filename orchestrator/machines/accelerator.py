"""Which accelerator QEMU should use here, found by measuring instead of by looking for /dev/kvm.

On nested machines /dev/kvm may open and still emulate every ring-0 instruction, so that a guest
takes minutes to boot. The probe guest (ebbrt_image/probe) does a known amount of work in both
rings; the faster accelerator wins, and the verdict is kept for this QEMU, kernel and CPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import pathlib
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from orchestrator.errors import AcceleratorError
from orchestrator.machines.process import dying_with_this

Name = Literal["kvm", "tcg"]
Choice = Literal["auto", "kvm", "tcg"]

QEMU = "qemu-system-x86_64"
KVM_DEVICE = pathlib.Path("/dev/kvm")
TCG_CPU = "max"
KVM_CPUS = ("host", "host,-arch-capabilities")
"""Nested hosts refuse the MSR behind arch-capabilities, and QEMU then stops; the second leaves it
out."""

MARKS = ("start", "ring0", "ring3", "calls")
TCG_DEADLINE_S = 30.0
KVM_SLACK = 3.0
"""KVM may take this many times TCG's time before it is given up; it wins only by being faster."""
KVM_LEAST_DEADLINE_S = 1.0
EXIT_SUCCESS = 33


@dataclass(frozen=True)
class ProbeTimes:
    """Milliseconds the probe guest took for its known work under one accelerator."""

    ring0: float
    ring3: float
    calls: float

    @property
    def total(self) -> float:
        """The whole work, without QEMU's own start."""
        return self.ring0 + self.ring3 + self.calls


@dataclass(frozen=True)
class Accelerator:
    """An accelerator to start QEMU with, and why it was chosen.

    `reason` is a sentence for people; `measured` holds the probe's times by accelerator, empty when
    nothing was measured.
    """

    name: Name
    cpu: str
    reason: str
    measured: Mapping[str, ProbeTimes]


@dataclass(frozen=True)
class _Failure:
    """Why a probe gave no times."""

    cause: str
    timed_out: bool = False


def default_cache() -> pathlib.Path:
    """Return where verdicts are kept: seuss/accelerator.json below the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME")
    base = pathlib.Path(home) if home else pathlib.Path.home() / ".cache"
    return base / "seuss" / "accelerator.json"


async def qemu_version() -> str:
    """Return the first line of `qemu-system-x86_64 --version`; raises AcceleratorError."""
    try:
        process = await asyncio.create_subprocess_exec(
            QEMU, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise AcceleratorError(
            f"{QEMU} cannot be started ({error.strerror}). Install Debian's qemu-system-x86."
        ) from error
    try:
        output, _ = await process.communicate()
    finally:
        await _end(process)
    return output.decode("utf-8", "replace").partition("\n")[0].strip()


async def choose(
    choice: Choice, probe: pathlib.Path, cache: pathlib.Path | None = None
) -> Accelerator:
    """Return the accelerator to use; `auto` measures once and then reads the kept verdict.

    `probe` is build/accelerator-probe.elf. Naming `kvm` or `tcg` overrides the measurement; a named
    `kvm` that cannot run at all raises AcceleratorError.
    """
    if choice == "tcg":
        return Accelerator("tcg", TCG_CPU, "TCG, because it was asked for.", {})
    obstacle = kvm_obstacle()
    if choice == "kvm":
        if obstacle:
            raise AcceleratorError(f"KVM was asked for, but {obstacle}. Use --accelerator tcg.")
        return await _named_kvm()
    if obstacle:
        return Accelerator("tcg", TCG_CPU, f"TCG, because {obstacle}.", {})
    fingerprint = _fingerprint(probe)
    if fingerprint is None:
        return Accelerator(
            "tcg",
            TCG_CPU,
            f"TCG, because {probe} cannot be read and KVM is not trusted unmeasured. "
            "Run make image to build it.",
            {},
        )
    cache = cache or default_cache()
    key = _cache_key(await qemu_version(), fingerprint)
    kept = _read_cache(cache, key)
    if kept is not None:
        return kept
    verdict = await _measure(probe)
    _write_cache(cache, key, verdict)
    return verdict


def kvm_obstacle() -> str | None:
    """Return why KVM cannot be used at all, as a clause, or None when it may work."""
    if not KVM_DEVICE.exists():
        return f"there is no {KVM_DEVICE}"
    try:
        os.close(os.open(KVM_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        return f"this user may not open {KVM_DEVICE} (add the user to the group kvm)"
    except OSError as error:
        return f"{KVM_DEVICE} cannot be opened ({error.strerror})"
    return None


async def _measure(probe: pathlib.Path) -> Accelerator:
    """Run the probe under both accelerators and judge."""
    tcg = await _run_probe(probe, "tcg", TCG_CPU, TCG_DEADLINE_S)
    if isinstance(tcg, _Failure):
        raise AcceleratorError(
            f"The accelerator probe {probe} does not run under TCG: {tcg.cause}. "
            "Rebuild it with make image, or name an accelerator."
        )
    deadline = max(KVM_LEAST_DEADLINE_S, KVM_SLACK * tcg.total / 1000)
    kvm: ProbeTimes | _Failure = _Failure("it was not tried")
    cpu = KVM_CPUS[0]
    for cpu in KVM_CPUS:
        kvm = await _run_probe(probe, "kvm", cpu, deadline)
        if not isinstance(kvm, _Failure) or kvm.timed_out:
            break
    measured = {"tcg": tcg}
    if isinstance(kvm, _Failure):
        cause = "it cannot run the probe" if not kvm.timed_out else "it is uselessly slow here"
        reason = (
            f"TCG, because KVM opens but {cause}: {kvm.cause}, and TCG needs {tcg.total:.0f} ms."
        )
        return Accelerator("tcg", TCG_CPU, reason, measured)
    measured["kvm"] = kvm
    faster, slower = ("kvm", "tcg") if kvm.total <= tcg.total else ("tcg", "kvm")
    reason = (
        f"{faster.upper()}, because it does the probe's work in {measured[faster].total:.0f} ms "
        f"and {slower.upper()} in {measured[slower].total:.0f} ms."
    )
    if faster == "kvm":
        return Accelerator("kvm", cpu, reason, measured)
    return Accelerator("tcg", TCG_CPU, reason, measured)


async def _named_kvm() -> Accelerator:
    """Find the CPU model with which KVM starts; does not judge its speed."""
    causes = []
    for cpu in KVM_CPUS:
        failure = await _try_start(cpu)
        if failure is None:
            return Accelerator("kvm", cpu, "KVM, because it was asked for.", {})
        causes.append(f"-cpu {cpu}: {failure}")
    raise AcceleratorError(
        f"KVM was asked for, but QEMU does not start with it ({'; '.join(causes)}). "
        "Use --accelerator tcg."
    )


async def _try_start(cpu: str) -> str | None:
    """Start a machine that ends by itself; return what QEMU said when it did not."""
    command = [*_command("kvm", cpu), "-S", "-monitor", "stdio"]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=dying_with_this(),
    )
    try:
        async with asyncio.timeout(TCG_DEADLINE_S):
            _, errors = await process.communicate(b"quit\n")
    except TimeoutError:
        return "it does not answer"
    finally:
        await _end(process)
    return None if process.returncode == 0 else _last_line(errors)


async def _run_probe(
    probe: pathlib.Path, name: Name, cpu: str, deadline_s: float
) -> ProbeTimes | _Failure:
    """Run the probe guest once and time its marks; `deadline_s` also covers QEMU's start."""
    command = [
        *_command(name, cpu),
        *("-kernel", str(probe), "-debugcon", "stdio"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=dying_with_this(),
    )
    assert process.stdout is not None and process.stderr is not None
    times: dict[str, float] = {}
    try:
        async with asyncio.timeout(deadline_s):
            async for line in process.stdout:
                times[line.decode("ascii", "replace").strip()] = time.monotonic() * 1000
            errors = await process.stderr.read()
            status = await process.wait()
    except TimeoutError:
        reached = [mark for mark in MARKS if mark in times]
        last = f"its last mark was {reached[-1]}" if reached else "it set no mark"
        return _Failure(f"after {deadline_s:.1f} s {last}", timed_out=True)
    finally:
        await _end(process)
    if status != EXIT_SUCCESS or any(mark not in times for mark in MARKS):
        return _Failure(f"QEMU ended with status {status} ({_last_line(errors)})")
    return ProbeTimes(
        ring0=times["ring0"] - times["start"],
        ring3=times["ring3"] - times["ring0"],
        calls=times["calls"] - times["ring3"],
    )


def _command(name: Name, cpu: str) -> list[str]:
    return [
        *(QEMU, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-M", "microvm", "-m", "32", "-accel", name, "-cpu", cpu),
    ]


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _fingerprint(probe: pathlib.Path) -> str | None:
    """Return the probe's SHA-256, or None when it cannot be read."""
    try:
        return hashlib.sha256(probe.read_bytes()).hexdigest()
    except OSError:
        return None


def _cache_key(qemu: str, fingerprint: str) -> str:
    """Hash what the verdict depends on: QEMU, kernel, CPU and the probe itself."""
    facts = (qemu, platform.release(), cpu_model(), fingerprint)
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def cpu_model() -> str:
    """Return what this machine's CPU calls itself."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _read_cache(cache: pathlib.Path, key: str) -> Accelerator | None:
    """Return the verdict kept under `key`; a cache that cannot be read counts as empty."""
    try:
        kept = json.loads(cache.read_text("utf-8"))
        if kept["key"] != key or kept["name"] not in ("kvm", "tcg"):
            return None
        measured = {str(name): ProbeTimes(**times) for name, times in kept["measured"].items()}
        return Accelerator(kept["name"], str(kept["cpu"]), str(kept["reason"]), measured)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_cache(cache: pathlib.Path, key: str, verdict: Accelerator) -> None:
    """Keep the verdict; a folder that cannot be written only means measuring again."""
    text = json.dumps({"key": key} | asdict(verdict), indent=1)
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=cache.parent)
        aside = pathlib.Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            aside.replace(cache)
        finally:
            aside.unlink(missing_ok=True)
