"""What a running machine may not do, as /proc tells it."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from orchestrator.errors import MachineError
from orchestrator.machines import confinement, memory_group
from orchestrator.machines.command_line import MIB, Hardware
from orchestrator.machines.confinement import OTHER_THREADS, USERS, confine
from orchestrator.machines.machine import Machine
from orchestrator.machines.shared_memory import SharedMemory
from tests.integration.guests import holdings, obey

as_root = pytest.mark.skipif(
    not confinement._may_change_users(), reason="only root's machines change user"
)


def status(machine: Machine) -> dict[str, str]:
    text = pathlib.Path(f"/proc/{machine.pid}/status").read_text()
    return {name: value.strip() for name, _, value in (x.partition(":") for x in text.splitlines())}


def threads(machine: Machine) -> list[str]:
    tasks = pathlib.Path(f"/proc/{machine.pid}/task").iterdir()
    return [(task / "status").read_text() for task in tasks]


def surroundings(machine: Machine) -> tuple[bytes, str]:
    """Return a machine's environment and its working folder."""
    process = pathlib.Path(f"/proc/{machine.pid}")
    return (process / "environ").read_bytes(), str((process / "cwd").readlink())


def limits(machine: Machine) -> dict[str, tuple[str, str]]:
    rows = pathlib.Path(f"/proc/{machine.pid}/limits").read_text().splitlines()[1:]
    return {row[:26].strip(): (row[26:47].strip(), row[47:68].strip()) for row in rows}


@pytest.fixture
def private_guest(test_guest: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A guest's image that only its owner may read."""
    private = tmp_path / "private.elf"
    private.write_bytes(test_guest.read_bytes())
    private.chmod(0o600)
    return private


async def test_no_privilege_can_come_back(hardware: Hardware, test_guest: pathlib.Path) -> None:
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        told = status(machine)
        assert told["NoNewPrivs"] == "1"
        assert told["Seccomp"] == "2"  # a filter, and it holds for every thread
        assert told["CapEff"] == told["CapPrm"] == told["CapInh"] == "0000000000000000"
        assert all("\nSeccomp:\t2" in thread for thread in threads(machine))
        command = machine.command
        assert "-nodefaults" in command and "-no-user-config" in command
        sandbox = command[command.index("-sandbox") + 1]
        for denied in ("obsolete", "elevateprivileges", "spawn", "resourcecontrol"):
            assert f"{denied}=deny" in sandbox


async def test_limits_hold_and_cannot_be_raised(
    hardware: Hardware, test_guest: pathlib.Path
) -> None:
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        told = limits(machine)
        assert told["Max core file size"] == ("0", "0")
        assert told["Max file size"] == ("0", "0")
        assert told["Max locked memory"] == ("0", "0")
        assert told["Max open files"] == (str(confinement.OPEN_FILES),) * 2
        soft, hard = told["Max address space"]
        used = int(status(machine)["VmPeak"].split()[0]) << 10
        assert soft == hard and used < int(hard) < hardware.memory + (8 << 30)


@as_root
async def test_each_machine_of_root_has_a_user_of_its_own(
    hardware: Hardware, test_guest: pathlib.Path
) -> None:
    before = holdings()
    async with (
        Machine(hardware, kernel=test_guest) as one,
        Machine(hardware, kernel=test_guest) as other,
    ):
        users = set()
        for machine in (one, other):
            assert (await obey(machine, "p"))[1] == 1
            told = status(machine)
            assert len(set(told["Uid"].split())) == len(set(told["Gid"].split())) == 1
            assert told["Uid"] == told["Gid"] and told["Groups"] == ""
            assert told["CapBnd"] == "0000000000000000"
            most = str(hardware.cores + OTHER_THREADS)
            assert limits(machine)["Max processes"] == (most, most)
            users.add(int(told["Uid"].split()[0]))
        assert len(users) == 2 and users < set(USERS)
    assert holdings() == before


@as_root
async def test_image_that_only_its_owner_may_read_boots(
    hardware: Hardware, private_guest: pathlib.Path
) -> None:
    before = holdings()
    async with Machine(hardware, kernel=private_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
    assert holdings() == before


@as_root
async def test_kvm_that_is_for_root_alone_costs_only_the_user(
    hardware: Hardware,
    test_guest: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confinement, "_groups_for", lambda device: None)
    monkeypatch.setattr(confinement, "_needs_kvm", lambda hardware: True)
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        told = status(machine)
        assert told["Uid"].split() == ["0"] * 4
        assert told["CapEff"] == told["CapPrm"] == told["CapBnd"] == "0000000000000000"


async def test_without_roots_powers_the_rest_still_holds(
    hardware: Hardware, test_guest: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "_may_change_users", lambda: False)
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        told = status(machine)
        assert told["Uid"].split() == [str(os.getuid())] * 4
        assert told["NoNewPrivs"] == "1" and told["Seccomp"] == "2"


def writable(machine: Machine, name: str) -> list[bool]:
    """Whether a machine may write by its descriptors of the file of that name."""
    process = pathlib.Path(f"/proc/{machine.pid}")
    found = [each for each in (process / "fd").iterdir() if name in str(each.readlink())]
    flags = [(process / "fdinfo" / each.name).read_text().split()[3] for each in found]
    return [int(word, 8) & os.O_ACCMODE != os.O_RDONLY for word in flags]


async def test_shared_region_can_only_be_read(hardware: Hardware, test_guest: pathlib.Path) -> None:
    with SharedMemory(1 << 20, "seuss-region") as region:
        async with Machine(hardware, kernel=test_guest, region=region) as machine:
            assert (await obey(machine, "p"))[1] == 1
            allowed = writable(machine, "seuss-region")
            assert allowed and not any(allowed)


async def test_environment_keeps_its_secrets(
    hardware: Hardware, test_guest: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEUSS_TOKEN", "hidden")
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        environment, folder = surroundings(machine)
        assert b"PATH=" in environment and b"hidden" not in environment
        assert folder == "/"


async def test_not_even_its_own_users_files_can_be_written(
    hardware: Hardware,
    test_guest: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confinement, "_may_change_users", lambda: False)
    dump = tmp_path / "dump"
    async with Machine(hardware, kernel=test_guest) as machine:
        assert (await obey(machine, "p"))[1] == 1
        with pytest.raises(MachineError):
            await machine.execute("pmemsave", val=0, size=4096, filename=str(dump))
    assert dump.stat().st_size == 0


@as_root
def test_users_are_claimed_once_and_given_back(
    hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Beyond those that other workers' machines claim at the same time.
    beyond = range(confinement.USERS.stop, confinement.USERS.stop + 2)
    monkeypatch.setattr(confinement, "USERS", beyond)
    one, other = confine(hardware), confine(hardware)
    assert {one.user, other.user} == set(beyond)
    with pytest.raises(MachineError, match="Keep fewer machines"):
        confine(hardware)
    one.release()
    again = confine(hardware)
    assert again.user == one.user
    again.release()
    other.release()


async def test_descriptors_beyond_the_limit_are_inherited_all_the_same(
    hardware: Hardware, test_guest: pathlib.Path
) -> None:
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(confinement.OPEN_FILES)]
    try:
        async with Machine(hardware, kernel=test_guest) as machine:
            assert (await obey(machine, "p"))[1] == 1
            inherited = machine.command[machine.command.index("-kernel") + 1]
            assert int(inherited.rpartition("/")[2]) >= confinement.OPEN_FILES
    finally:
        for descriptor in held:
            os.close(descriptor)


@pytest.fixture
def groups() -> pathlib.Path:
    """The folder in which machines' control groups are made."""
    where = memory_group.place()
    if where.folder is None:
        pytest.skip(str(where))
    return where.folder


async def test_all_memory_of_a_machine_is_bounded(
    hardware: Hardware,
    test_guest: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: pathlib.Path,
) -> None:
    def mine() -> set[pathlib.Path]:
        return {*groups.glob(f"seuss-{os.getpid()}-*")}

    before = mine()
    async with Machine(hardware, kernel=test_guest) as machine:
        [group] = mine() - before
        assert (group / "cgroup.procs").read_text().split() == [str(machine.pid)]
        assert (await obey(machine, "p"))[1] == 1
        assert "limit" not in machine.error("it is well").message
    assert mine() == before
    # One that takes more is ended, alone, and the error says why.
    monkeypatch.setattr(confinement, "TAKEN_AROUND_RAM", 8 * MIB - hardware.memory)
    with pytest.raises(MachineError, match="ended by SIGKILL at its limit of memory"):
        await Machine(hardware, kernel=test_guest).start()
    assert mine() == before


def test_groups_of_the_killed_are_swept(groups: pathlib.Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, used = groups / f"seuss-{gone.pid}-1", groups / f"seuss-{os.getppid()}-test"
    left.mkdir()
    used.mkdir()
    try:
        memory_group.place.cache_clear()
        assert memory_group.place().folder == groups
        assert used.exists() and not left.exists()
    finally:
        used.rmdir()
