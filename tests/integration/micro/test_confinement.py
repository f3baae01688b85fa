"""What a worker can still do: no descriptors, few system calls, none for functions."""

from __future__ import annotations

import pathlib
import re

import pytest

from orchestrator.micro.dispatcher import MicroDispatcher
from orchestrator.micro.syscalls import HEADER
from tests.integration.micro.conftest import hostile, sample

WORDS = """
    read write open openat mmap mprotect munmap socket connect bind listen accept sendto fork vfork
    clone clone3 execve execveat kill tkill tgkill ptrace process_vm_writev mount umount2 unlink
    rename mkdir chmod chown setuid setgid capset prctl seccomp bpf perf_event_open init_module
    reboot ioctl io_uring_setup memfd_create userfaultfd keyctl unshare setns personality
    rt_sigaction sigaltstack timer_create timer_settime setitimer exit exit_group pause
"""
DANGEROUS = WORDS.split()


def numbers() -> dict[str, int]:
    text = HEADER.read_text(encoding="ascii")
    return {name: int(n) for name, n in re.findall(r"#define __NR_(\w+) (\d+)", text)}


@pytest.mark.usefixtures("unchecked")
async def test_functions_can_make_no_system_call(dispatcher: MicroDispatcher) -> None:
    known = numbers()
    pid = dispatcher.workers[0].pid
    function = hostile("syscall")
    for name in DANGEROUS:
        refused = await dispatcher.invoke(function, {"call": known[name]})
        assert refused.error is not None, name
        assert refused.error.kind == "bad-call"
        assert refused.error.message == f"The function made the system call {name}."
    # The same calls by the numbers of x32.
    for name in ("read", "mmap"):
        refused = await dispatcher.invoke(function, {"call": known[name] | 1 << 30})
        assert refused.error is not None
        assert refused.error.kind == "bad-call"
    assert (await dispatcher.invoke(sample("timestamp"), {})).ok
    assert dispatcher.workers[0].pid == pid


async def test_worker_holds_nothing(dispatcher: MicroDispatcher) -> None:
    await dispatcher.invoke(sample("timestamp"), {})
    process = pathlib.Path(f"/proc/{dispatcher.workers[0].pid}")
    open_files = {link.name: str(link.readlink()) for link in (process / "fd").iterdir()}
    assert open_files == dict.fromkeys("012", "/dev/null")
    status = (process / "status").read_text()
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert re.findall(r"^Cap(?:Inh|Prm|Eff):\s+(\w+)$", status, re.MULTILINE) == ["0" * 16] * 3
    limits = (process / "limits").read_text()
    assert re.search(r"^Max file size +0 +0 ", limits, re.MULTILINE)
    assert not re.search(r"^Max address space +unlimited", limits, re.MULTILINE)
