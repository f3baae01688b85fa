"""Which generators a restore renews, and who is called back."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from types import ModuleType

import pytest
import seuss
from seuss_runner import renewal
from seuss_runner.failures import Failure

SYNC = bytes(48)


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


def watched() -> list[object]:
    return [reference() for reference in renewal._unseeded.values()]


def test_the_modules_own_generator_is_watched(module: ModuleType) -> None:
    assert watched() == [module._inst]


def test_unseeded_generators_are_watched(module: ModuleType) -> None:
    generator = module.Random()
    assert generator in watched()


@pytest.mark.parametrize("seed", [5, "text", b"bytes", 0.5])
def test_seeded_generators_are_not(module: ModuleType, seed: object) -> None:
    assert module.Random(seed) not in watched()


def test_the_last_seed_counts(module: ModuleType) -> None:
    generator = module.Random()
    generator.seed(5)
    assert generator not in watched()
    generator.seed()
    assert generator in watched()


def test_a_state_that_was_set_stays(module: ModuleType) -> None:
    generator = module.Random()
    generator.setstate(generator.getstate())
    assert generator not in watched()


def test_the_functions_of_the_module_are_watched_too(module: ModuleType) -> None:
    module.seed(3)
    assert watched() == []
    module.seed()
    assert watched() == [module._inst]


@pytest.mark.parametrize("size", [0, 47, 49])
def test_a_payload_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(Failure, match="48 bytes"):
        renewal.call_back(bytes(size))


def test_callbacks_run_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    @seuss.on_restore
    def first() -> None:
        seen.append("first")
        raise SystemExit(2)

    seuss.on_restore(lambda: seen.append("second"))
    try:
        renewal.call_back(SYNC)
    finally:
        seuss._callbacks.clear()
    assert seen == ["first", "second"]
    assert "sys.exit(2)" in capsys.readouterr().err
