"""The toolchain, built; dispatchers; and functions that no build would let through."""

from __future__ import annotations

import pathlib
import subprocess
import tempfile
from collections.abc import AsyncIterator

import pytest

from orchestrator.micro import build as building
from orchestrator.micro.build import Product
from orchestrator.micro.dispatcher import MicroDispatcher
from orchestrator.micro.function import RustFunction
from orchestrator.micro.settings import MicroSettings, usual_cores
from orchestrator.micro.toolchain import RUSTC, TARGET, Toolchain
from tests.integration.making import make

ROOT = pathlib.Path(__file__).resolve().parents[3]
FUNCTIONS = ROOT / "micro_worker" / "functions"
HOSTILE = pathlib.Path(__file__).parent / "hostile"


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """The products of `make micro`, made if they are not."""
    make(ROOT / "micro_worker", ROOT / "build" / "micro")
    return Toolchain.find()


@pytest.fixture
async def dispatcher(toolchain: Toolchain) -> AsyncIterator[MicroDispatcher]:
    """One worker, with a tick that every machine can bear."""
    async with MicroDispatcher(MicroSettings(usual_cores()), toolchain) as running:
        yield running


def sample(name: str) -> RustFunction:
    """A function of micro_worker/functions."""
    return RustFunction.from_file(FUNCTIONS / f"{name}.rs")


def hostile(name: str) -> RustFunction:
    """A function of the folder hostile: with `unsafe`, which the build refuses."""
    return RustFunction.from_file(HOSTILE / f"{name}.rs")


def build_unchecked(
    function: RustFunction, toolchain: Toolchain, product: Product = Product.ESCAPE
) -> pathlib.Path:
    """Build without any of the gates: what a hole in the compiler would let through."""
    folder = toolchain.root / "hostile"
    folder.mkdir(exist_ok=True)
    made = folder / f"{function.name}-{function.id[:16]}-{toolchain.digest()[:16]}.so"
    if made.is_file():
        return made
    externs = {"micro": toolchain.guest["micro"]}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = pathlib.Path(name)
        root, rlib = work / "function.rs", work / "libfunction.rlib"
        root.write_bytes(function.code)
        command = [
            *(str(RUSTC), "--edition=2021", "--crate-type=rlib", "--crate-name=function"),
            *("--target", TARGET, "--sysroot", str(toolchain.sysroot)),
            *("-Cpanic=abort", "-Copt-level=3"),
            *building.crates_options(externs, toolchain),
            *("-o", str(rlib), str(root)),
        ]
        subprocess.run(command, check=True, timeout=60)
        building.link(function, toolchain, product, rlib, work / made.name)
        (work / made.name).replace(made)
    return made


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have dispatchers build the hostile functions without the gates."""

    def build(
        function: RustFunction, toolchain: Toolchain, product: Product = Product.ESCAPE
    ) -> pathlib.Path:
        if (HOSTILE / f"{function.name}.rs").is_file():
            return build_unchecked(function, toolchain, product)
        return building.build(function, toolchain, product)

    monkeypatch.setattr("orchestrator.micro.dispatcher.build", build)
