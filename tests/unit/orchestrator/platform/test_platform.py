"""The platform on fake dispatchers: admission, failures, the log."""

from __future__ import annotations

import asyncio
import pathlib
from collections import Counter
from collections.abc import Sequence

import pytest

from orchestrator.errors import (
    BusyError,
    MachineError,
    PoolClosedError,
    SettingsError,
    UnknownFunctionError,
)
from orchestrator.paths import Path
from orchestrator.platform import platform as platform_module
from orchestrator.platform.database import Database
from orchestrator.platform.log import Entry, Log
from orchestrator.platform.platform import Platform
from orchestrator.platform.policies import Policies
from tests.unit.orchestrator.platform.fakes import Fakes, echo, fake_settings, until


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_functions_run_with_what_they_were_deployed_with(
    platform: Platform, fakes: Fakes
) -> None:
    platform.registry.put(echo("slow", isolation="vm", timeout_s=7.0, memory_mib=512))
    outcome = await platform.invoke("slow", {"n": 1})
    assert outcome.invocation.result == {"args": {"n": 1}, "timeout_s": 7.0}
    assert fakes.of("vm").settings.memory_mib == 512
    outcome = await platform.invoke("echo", {}, Path.BOOTED, timeout_s=2.0)
    assert outcome.invocation.path is Path.BOOTED
    assert outcome.invocation.result == {"args": {}, "timeout_s": 2.0}
    assert fakes.of("uc").settings.memory_mib == 512


async def test_one_dispatcher_however_many_call_first(platform: Platform, fakes: Fakes) -> None:
    await asyncio.gather(*(platform.invoke("echo", {}) for _ in range(3)))
    assert fakes.of("uc").entered == 1


async def test_dispatchers_end_with_the_platform(tmp_path: pathlib.Path, fakes: Fakes) -> None:
    async with Platform(fake_settings(tmp_path), make=fakes.make) as platform:
        platform.registry.put(echo())
        await platform.invoke("echo", {})
        assert fakes.of("uc").left == 0
    assert fakes.of("uc").left == 1


async def test_a_dispatcher_that_cannot_start_is_tried_again(
    platform: Platform, fakes: Fakes
) -> None:
    fakes.start_failure = MachineError("No QEMU is there. Install it.")
    with pytest.raises(MachineError, match="Install it"):
        await platform.invoke("echo", {})
    fakes.start_failure = None
    assert (await platform.invoke("echo", {})).invocation.ok
    assert [fake.entered for fake in fakes.made] == [0, 1]


async def test_a_caller_that_goes_away_does_not_end_the_start(
    platform: Platform, fakes: Fakes
) -> None:
    fakes.may_start = asyncio.Event()
    first = asyncio.create_task(platform.invoke("echo", {}))
    second = asyncio.create_task(platform.invoke("echo", {}))
    await settle()
    first.cancel()
    await settle()
    fakes.may_start.set()
    assert (await second).invocation.ok
    assert first.cancelled()
    assert [fake.entered for fake in fakes.made] == [1]


async def test_a_start_under_way_ends_with_the_platform(
    tmp_path: pathlib.Path, fakes: Fakes
) -> None:
    fakes.may_start = asyncio.Event()
    async with Platform(fake_settings(tmp_path), make=fakes.make) as platform:
        platform.registry.put(echo())
        platform.begin("echo", {})
        await settle()
    assert [fake.left for fake in fakes.made] == [1]


async def test_concurrency_queue_and_refusal(platform: Platform, fakes: Fakes) -> None:
    await platform.invoke("echo", {})
    calls = [asyncio.create_task(platform.invoke("echo", {"wait": 1})) for _ in range(3)]
    await settle()
    admission = platform.admission("uc")
    assert (admission.running, admission.waiting) == (2, 1)
    with pytest.raises(BusyError):
        await platform.invoke("echo", {})
    # The other isolation has a queue of its own.
    assert (await platform.invoke("echo-vm", {})).invocation.ok
    fakes.of("uc").go.set()
    outcomes = await asyncio.gather(*calls)
    assert all(outcome.invocation.ok for outcome in outcomes)
    assert fakes.of("uc").most == 2
    assert sorted(outcome.waited_ms > 0.5 for outcome in outcomes)[:2] == [False, False]


async def test_a_failure_is_its_callers_alone(platform: Platform) -> None:
    told = await asyncio.gather(
        platform.invoke("echo", {"die": 1}),
        platform.invoke("echo", {"n": 1}),
        platform.invoke("echo", {"fail": "timeout"}),
        return_exceptions=True,
    )
    died, fine, failed = told
    assert isinstance(died, MachineError)
    assert not isinstance(fine, BaseException) and fine.invocation.ok
    assert not isinstance(failed, BaseException) and failed.invocation.error is not None
    with pytest.raises(UnknownFunctionError):
        await platform.invoke("absent", {})
    assert platform.admission("uc").running == 0


async def test_all_are_logged_however_they_end(tmp_path: pathlib.Path, fakes: Fakes) -> None:
    heard: list[Entry] = []
    settings = fake_settings(tmp_path)
    async with Platform(settings, make=fakes.make, listener=heard.append) as platform:
        platform.registry.put(echo())
        first = await platform.invoke("echo", {"print": "said"})
        await platform.invoke("echo", {"fail": "exception"})
        with pytest.raises(MachineError):
            await platform.invoke("echo", {"die": 1})
        gone = asyncio.create_task(platform.invoke("echo", {"wait": 1}))
        await settle()
        gone.cancel()
        await asyncio.wait((gone,))
        detached = platform.begin("echo", {"n": 5})
        platform.begin("echo", {"wait": 1})  # and never goes on
        await settle()
        await platform.write_log()
        assert platform.log.get(detached)["result"]["args"] == {"n": 5}
    with Database(settings.store) as database:
        records = [record for _, record in Log(database).list("echo")]
    assert records[0]["id"] == first.id and records[0]["stdout"] == "said"
    kinds = Counter(record["error"]["kind"] for record in records if "error" in record)
    assert kinds == {"exception": 1, "platform": 1, "cancelled": 2}
    assert [entry.to_json() for entry in heard] == records
    assert fakes.of("uc").cancelled == 2 and fakes.of("uc").running == 0


async def test_the_log_goes_on_after_a_mishap(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = platform.log.append

    def fail(entries: Sequence[Entry]) -> None:
        monkeypatch.setattr(platform.log, "append", append)
        raise ValueError("what nobody thought of")

    monkeypatch.setattr(platform.log, "append", fail)
    await platform.invoke("echo", {"n": 1})
    await until(lambda: platform.log.append is not fail)
    await platform.invoke("echo", {"n": 2})
    await until(lambda: len(platform.log.list()) == 1)


async def test_the_budget_is_looked_after_after_a_mishap(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def fail() -> tuple[str, ...]:
        nonlocal calls
        calls += 1
        raise OSError("what nobody thought of")

    monkeypatch.setattr(platform_module, "BUDGET_S", 0.01)
    async with Platform(platform.settings, make=Fakes().make) as other:
        monkeypatch.setattr(other, "keep_budget", fail)
        await until(lambda: calls >= 2)


async def test_a_call_that_nobody_waits_for_is_admitted_like_others(
    platform: Platform, fakes: Fakes
) -> None:
    for _ in range(3):
        platform.begin("echo", {"wait": 1})
    with pytest.raises(BusyError):
        platform.begin("echo", {})
    await settle()
    fakes.of("uc").go.set()
    await settle()
    assert platform.admission("uc").running == 0
    assert (await platform.invoke("echo", {})).invocation.ok


@pytest.mark.parametrize(
    "values", [{"contexts": 0}, {"machines": -1}, {"queue": -1}, {"snapshot_budget": -1}]
)
def test_policies_that_cannot_work(values: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="Give"):
        Policies(**values)


async def test_leaving_ends_what_runs_and_what_waits(tmp_path: pathlib.Path, fakes: Fakes) -> None:
    policies = Policies(contexts=1, machines=1, queue=2)
    async with Platform(fake_settings(tmp_path), policies, make=fakes.make) as platform:
        platform.registry.put(echo())
        calls = [asyncio.create_task(platform.invoke("echo", {"wait": True})) for _ in range(2)]
        platform.begin("echo", {"wait": True})
        await until(lambda: bool(fakes.made) and fakes.of("uc").running == 1)
    assert (fakes.of("uc").cancelled, fakes.of("uc").running, len(fakes.made)) == (1, 0, 1)
    assert not platform.fill()["uc"]["running"] and not platform.fill()["uc"]["waiting"]
    for call in calls:
        with pytest.raises(PoolClosedError, match="The platform was closed"):
            await call
    with Database(tmp_path / "store") as database:
        kinds = [record["error"]["kind"] for _, record in Log(database).list()]
    assert kinds == ["cancelled"] * 3
