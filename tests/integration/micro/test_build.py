"""What the build refuses, and why; what it makes needs nothing of its process."""

from __future__ import annotations

import pathlib

import pytest

from orchestrator.errors import FunctionFileError, MicroError
from orchestrator.micro.build import Product, build
from orchestrator.micro.function import RustFunction
from orchestrator.micro.library_file import check_library
from orchestrator.micro.toolchain import Toolchain
from tests.integration.micro.conftest import FUNCTIONS, build_unchecked, hostile, sample

MAIN = "pub fn main(_: &[u8]) -> Result<Vec<u8>, String> { BODY }"


def function(body: str, before: str = "") -> RustFunction:
    text = f"{before}\nuse micro::prelude::*;\n{MAIN.replace('BODY', body)}\n"
    return RustFunction("subject", text.encode())


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (function("unsafe { *(8 as *const u8) }; Ok(vec![])"), "line 3: `unsafe` is forbidden"),
        (function("std::process::exit(1)"), "line 3: `std::process` is not there"),
        (function("Ok(vec![])", "use std::fs;"), "line 1: `std::fs` is not there"),
        (function("Ok(vec![])", 'extern "C" { fn puts(s: *const u8); }'), "no raw FFI"),
        (function("Ok(vec![])", "#[no_mangle] pub fn malloc() {}"), "attribute `no_mangle`"),
        (function("Ok(vec![])", 'core::arch::global_asm!("ret");'), "assembly is forbidden"),
        (function('Ok(include_bytes!("/etc/passwd").to_vec())'), "reads no other"),
        (function("Ok(vec![])", "#![feature(rustc_private)]"), "attribute `feature`"),
        (function("Ok(vec![])", "use rand::Rng;"), "only the crates micro, serde"),
        (function("libc::exit(1)"), "only the crates micro, serde"),
        (function("micro_abi::VERSION; Ok(vec![])"), "only the crates micro, serde"),
        (function("once_cell::race::OnceBox::<u8>::new(); Ok(vec![])"), "only the crates micro"),
        (function("Ok(1)"), "line 3: mismatched types"),
        (RustFunction("subject", b"pub fn other() {}"), "A function is `pub fn main"),
        (RustFunction("subject", b"fn main( {"), "no Rust"),
        (RustFunction("subject", b"\xff\xfe"), "Save it as UTF-8"),
    ],
)
def test_refused_with_the_reason(
    toolchain: Toolchain, tmp_path: pathlib.Path, subject: RustFunction, reason: str
) -> None:
    with pytest.raises(FunctionFileError) as caught:
        build(subject, toolchain, folder=tmp_path)
    assert reason in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_compiler_alone_refuses_unsafe(
    toolchain: Toolchain, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.micro.build.check", lambda function, toolchain: [])
    for subject, reason in (
        (function("unsafe { *(8 as *const u8) }; Ok(vec![])"), "usage of an `unsafe` block"),
        (function("Ok(vec![])", "#[no_mangle] pub fn malloc() {}"), "`no_mangle` function"),
        (function("Ok(vec![])", "#![allow(unsafe_code)]"), "allow(unsafe_code)"),
        (function("std::process::exit(1)"), "undeclared crate or module `std`"),
        (function("Ok(vec![])", "extern crate std;"), "can't find crate for `std`"),
    ):
        with pytest.raises(FunctionFileError) as caught:
            build(subject, toolchain, folder=tmp_path)
        assert reason in caught.value.message


def test_features_stay_shut(
    toolchain: Toolchain, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSTC_BOOTSTRAP", "1")
    monkeypatch.setattr("orchestrator.micro.build.check", lambda function, toolchain: [])
    with pytest.raises(FunctionFileError, match="intrinsics"):
        build(function("core::intrinsics::abort()"), toolchain, folder=tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in FUNCTIONS.glob("*.rs")))
def test_samples_need_nothing_of_their_process(toolchain: Toolchain, name: str) -> None:
    check_library(build(sample(name), toolchain), name)


def test_libraries_that_need_something_are_refused(toolchain: Toolchain) -> None:
    with pytest.raises(MicroError, match=r"imports pthread_spin_lock"):
        check_library(build_unchecked(hostile("stuck"), toolchain), "stuck")
    with pytest.raises(MicroError, match=r"dynamic entry \(NEEDED\)"):
        check_library(build(sample("panic"), toolchain, Product.UNWIND), "panic")


def test_built_once(toolchain: Toolchain, tmp_path: pathlib.Path) -> None:
    first = build(sample("panic"), toolchain, folder=tmp_path)
    changed = first.stat().st_mtime_ns
    assert build(sample("panic"), toolchain, folder=tmp_path) == first
    assert first.stat().st_mtime_ns == changed
    assert list(tmp_path.iterdir()) == [first]
