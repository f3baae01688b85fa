"""The same machines under a libvirt of the tests' own: a daemon in session mode."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from orchestrator.anticipation import Anticipation
from orchestrator.errors import MachineError, SettingsError
from orchestrator.function import Function
from orchestrator.machines.backend import machine_type
from orchestrator.machines.command_line import Hardware
from orchestrator.machines.machine import Machine
from orchestrator.paths import Path
from orchestrator.settings import Settings
from orchestrator.vm.capture import HeldCapture, capture_full, resume
from orchestrator.vm.dispatcher import VmDispatcher
from orchestrator.vm.restore import Origin, complete, prepare
from tests.integration import calling_out
from tests.integration.calling_out import HOST, Server, digest, document, may_reach
from tests.integration.conftest import BUILD
from tests.integration.guests import holdings, obey

DAEMON_DEADLINE_S = 20.0
USER = "nobody"
"""Whose session it is when the tests are root's: root's own daemon would be the system's."""
FETCH = b"""
import hashlib, urllib.request

def main(args):
    with urllib.request.urlopen(args["url"], timeout=20) as answer:
        return {"digest": hashlib.sha256(answer.read()).hexdigest()}
"""
COUNT = Function("count", "source", b"n = 0\ndef main(args):\n    return {'n': args['n'] + 1}")


@pytest.fixture(scope="module")
def daemon() -> Iterator[str]:
    """A libvirtd with folders of its own; its URI. Skips when it cannot start."""
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    program = shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("libvirtd is not installed")
    # A path of pytest's own would be too long for a socket, and closed to the daemon's user.
    with tempfile.TemporaryDirectory(prefix="seuss-lv-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        folder.chmod(0o711)
        kinds = ("RUNTIME", "CONFIG", "CACHE", "DATA")
        environment = {"PATH": os.environ["PATH"], "HOME": name}
        for kind in kinds:
            private = folder / kind.lower()
            private.mkdir(0o700)
            ending = "DIR" if kind == "RUNTIME" else "HOME"
            environment[f"XDG_{kind}_{ending}"] = str(private)
            if os.getuid() == 0:
                os.chown(private, *pwd.getpwnam(USER)[2:4])
        user = USER if os.getuid() == 0 else None
        log = stack.enter_context((folder / "log").open("w"))
        process = subprocess.Popen(
            [program, "--timeout", "300"],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user,
            group=pwd.getpwnam(USER).pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        socket = folder / "runtime" / "libvirt" / "libvirt-sock"
        deadline = time.monotonic() + DAEMON_DEADLINE_S
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"libvirtd does not start: {(folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)
        yield f"qemu+unix:///session?socket={socket}"


@pytest.fixture
def under_libvirt(
    daemon: str, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hardware]:
    """Hardware whose machines libvirt runs; nothing is left of them afterwards."""
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", daemon)
    chosen = replace(hardware, backend="libvirt")
    machine_type(chosen)  # starts what stays: threads and descriptors of libvirt's events
    before = remains()
    yield chosen
    assert settled(lambda: remains() == before), (before, remains())


def remains() -> tuple[set[str], set[str]]:
    """Return machines' folders and QEMU processes of libvirt's."""
    gc.collect()  # a base's copy goes with the base
    folders = {each.name for each in pathlib.Path("/dev/shm").glob("seuss-*")}
    # Peers that other workers test come and go meanwhile.
    folders = {name for name in folders if not name.startswith("seuss-peers-")}
    processes = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"guest=seuss-%d-" % os.getpid() in (entry / "cmdline").read_bytes():
                processes.add(entry.name)
    return folders, processes


def settled(condition: Callable[[], bool]) -> bool:
    for _ in range(100):
        if condition():
            return True
        time.sleep(0.05)
    return False


def make(hardware: Hardware, **options: object) -> Machine:
    return machine_type(hardware)(hardware, **options)  # type: ignore[arg-type]


async def test_boots_obeys_and_ends(under_libvirt: Hardware, test_guest: pathlib.Path) -> None:
    async with make(under_libvirt, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        assert str(machine.pid) in remains()[1]
        with pytest.raises(MachineError, match="refused no-such-command"):
            await machine.execute("no-such-command")
        await machine.send(b"x\x10" + bytes(10))
        assert await machine.wait() == 0
        assert machine.debug_output == b"ready\nobedient\n"
        with pytest.raises(MachineError, match="ended before it answered"):
            await machine.execute("query-status")


async def test_whole_captures_restore_in_either_backend(
    under_libvirt: Hardware, hardware: Hardware, test_guest: pathlib.Path
) -> None:
    for captures, restores in ((under_libvirt, hardware), (hardware, under_libvirt)):
        async with make(captures, kernel=test_guest) as machine:
            assert (await obey(machine, "p"))[1] == 1
            base = await capture_full(machine)
            await resume(machine)
            assert (await obey(machine, "p"))[1] == 2
        with Origin(base.blocks, base.pages, base.state) as origin:
            async with origin.machine(restores) as machine:
                await prepare(machine, origin)
                await complete(machine, origin.tail())
                assert (await obey(machine, "p"))[1] == 2


async def test_delta_of_a_libvirt_machine_is_as_exact(
    under_libvirt: Hardware, test_guest: pathlib.Path
) -> None:
    async with make(under_libvirt, kernel=test_guest) as machine:
        await obey(machine, "p")
        base = await capture_full(machine)
    with Origin(base.blocks, base.pages, base.state) as origin:
        async with origin.machine(under_libvirt, paused=True) as machine:
            held = HeldCapture(machine, origin)
            await prepare(machine, origin)
            await complete(machine, origin.tail())
            await held.arm()
            await machine.execute("cont")
            assert (await obey(machine, "p"))[1] == 2
            delta = await held.collect()
            assert delta.fallback is None and 0 < len(delta.pages) < len(base.pages)
        async with origin.machine(under_libvirt) as machine:
            await prepare(machine, origin)
            await complete(machine, origin.tail(delta.pages, delta.state))
            assert (await obey(machine, "p"))[1] == 3


async def test_functions_are_answered_cold_and_warm(
    under_libvirt: Hardware, tmp_path: pathlib.Path
) -> None:
    settings = Settings(
        image=BUILD / "ebbrt-python.elf",
        store=tmp_path / "store",
        accelerator="tcg",
        machine_backend="libvirt",
        pool_size=1,
        ao=Anticipation.NONE,
    )
    async with VmDispatcher(settings) as dispatcher:
        paths = []
        for number in range(2):
            answer = await dispatcher.invoke(COUNT, {"n": number})
            assert answer.result == {"n": number + 1}, answer.error
            paths.append(answer.path)
            await dispatcher.flush()
        assert paths == [Path.COLD, Path.WARM]


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.2, 0.5])
async def test_cancelled_start_leaves_no_domain(
    under_libvirt: Hardware, test_guest: pathlib.Path, pause_s: float
) -> None:
    machine = make(under_libvirt, kernel=test_guest)
    task = asyncio.create_task(machine.start())
    await asyncio.sleep(pause_s)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await machine.close()


async def test_daemon_that_does_not_run_is_named(
    under_libvirt: Hardware, test_guest: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu+unix:///session?socket=/nonexistent/sock")
    with pytest.raises(MachineError, match="LIBVIRT_DEFAULT_URI"):
        await make(under_libvirt, kernel=test_guest).start()


async def test_machines_leave_no_descriptors(
    under_libvirt: Hardware, test_guest: pathlib.Path
) -> None:
    counts = []
    for _ in range(3):
        async with make(under_libvirt, kernel=test_guest) as machine:
            await obey(machine, "p")
        counts.append(holdings()[0])
    assert counts[1] == counts[2]


async def test_functions_call_out(under_libvirt: Hardware, tmp_path: pathlib.Path) -> None:
    server = Server(0)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        settings = replace(calling_out.settings(tmp_path, "vm"), machine_backend="libvirt")
        function = may_reach(FETCH, f"{HOST}:{server.port}")
        async with VmDispatcher(settings) as dispatcher:
            for path in (Path.COLD, Path.WARM):
                args = {"url": f"http://{HOST}:{server.port}/0"}
                answer = await dispatcher.invoke(function, args, path)
                assert answer.result == {"digest": digest(document("/0"))}, answer
    assert (server.answered, server.open, server.broken) == (2, 0, 0)


def test_contexts_are_refused() -> None:
    with pytest.raises(SettingsError, match="allows no second one"):
        Settings(isolation="uc", machine_backend="libvirt")
