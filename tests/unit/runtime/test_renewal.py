"""Which generators a restore renews."""

from __future__ import annotations

import importlib.util
import random
import struct
from collections.abc import Iterator
from types import ModuleType

import pytest
import seuss
from seuss_runner import renewal
from seuss_runner.failures import Failure


def sync(generation: int = 1) -> bytes:
    return struct.pack("<QQ32s", 0, generation, bytes(32))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A second copy of module `random`, watched as the frozen one is."""
    monkeypatch.setattr(renewal, "_unseeded", {})
    spec = importlib.util.spec_from_file_location("watched_random", random.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    renewal.watch(copy.Random, vars(copy))
    yield copy
    seuss._generation = 0


def test_unseeded_generators_are_renewed(module: ModuleType) -> None:
    generator = module.Random()
    generator.gauss(0, 1)
    before = generator.getstate()
    renewal.renew(sync())
    after = generator.getstate()
    assert after[1] != before[1]
    assert after[2] is None


def test_openssl_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[None] = []
    monkeypatch.setattr("_seuss_openssl.restored", lambda: told.append(None))
    renewal.renew(sync())
    renewal.renew(sync())
    assert len(told) == 2
    with pytest.raises(Failure):
        renewal.renew(b"")
    assert len(told) == 2


def test_the_modules_own_generator_is_renewed(module: ModuleType) -> None:
    before = module.getstate()
    renewal.renew(sync())
    assert module.getstate() != before


@pytest.mark.parametrize("seed", [5, "text", b"bytes", 0.5])
def test_seeded_generators_keep_their_sequence(module: ModuleType, seed: object) -> None:
    generator = module.Random(seed)
    before = generator.getstate()
    renewal.renew(sync())
    assert generator.getstate() == before


def test_the_last_seed_counts(module: ModuleType) -> None:
    generator = module.Random()
    generator.seed(5)
    before = generator.getstate()
    renewal.renew(sync())
    assert generator.getstate() == before
    generator.seed()
    before = generator.getstate()
    renewal.renew(sync())
    assert generator.getstate() != before


def test_a_state_that_was_set_stays(module: ModuleType) -> None:
    generator = module.Random()
    before = generator.getstate()
    generator.setstate(before)
    renewal.renew(sync())
    assert generator.getstate() == before


def test_generators_that_are_gone_are_forgotten(module: ModuleType) -> None:
    generator = module.Random()
    assert len(renewal._unseeded) == 2
    del generator
    renewal.renew(sync())
    assert len(renewal._unseeded) == 1


def test_the_functions_of_the_module_are_watched_too(module: ModuleType) -> None:
    module.seed(3)
    assert renewal._unseeded == {}
    before = module.getstate()
    renewal.renew(sync())
    assert module.getstate() == before


def test_the_generation_is_what_sync_says() -> None:
    renewal.renew(sync(2**64 - 1))
    assert seuss.generation() == 2**64 - 1
    renewal.renew(sync(0))
    assert seuss.generation() == 0


@pytest.mark.parametrize("size", [0, 47, 49])
def test_a_payload_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(Failure, match="48 bytes"):
        renewal.renew(bytes(size))


def test_callbacks_run_in_order_after_renewal(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[object] = []

    @seuss.on_restore
    def first() -> None:
        seen.append(seuss.generation())
        raise SystemExit(2)

    seuss.on_restore(lambda: seen.append("second"))
    try:
        renewal.renew(sync(9))
    finally:
        seuss._callbacks.clear()
        seuss._generation = 0
    assert seen == [9, "second"]
    assert "sys.exit(2)" in capsys.readouterr().err
