"""What the build refuses, and why; what it makes needs nothing of its process."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest

from orchestrator.errors import FunctionFileError, MicroError
from orchestrator.micro.build import Product, build
from orchestrator.micro.function import RustFunction
from orchestrator.micro.library_file import check_library
from orchestrator.micro.toolchain import Toolchain
from tests.integration.micro.conftest import FUNCTIONS, build_unchecked, hostile, sample

FORGED = """
use sha2::digest::{generic_array::{arr, GenericArray}, typenum::U64};
fn forge() -> GenericArray<&'static u8, U64> {
    let mut stolen = None;
    let _ = arr![u64; { stolen = Some(__do_transmute::<&'static u8, U64>([&7])); 0 }];
    stolen.unwrap()
}
"""
"""References made of what lies on the stack: `arr!` has its transmute in its arguments' scope."""
SCRIPT = '#!/*\nfn secret() -> &\'static [u8] { include_bytes!("/etc/passwd") }\n// */\n'
"""The compiler skips the first line, so that the second is no comment."""
STRING = """
macro_rules! code { ($($x:tt)*) => { [u8; { $($x)* 0 }] } }
#[derive(serde::Serialize)]
#[serde(bound = "code!{ const X: &[u8] = include_bytes!(\\"/etc/passwd\\"); }: Sized")]
struct Subject { x: u8 }
"""
PIECES = """
macro_rules! m { ($h:tt $d:tt $n:ident $s:tt) => { $h [path = "/etc/passwd"] mod $n $s } }
m! { /// a `#` and brackets
    other ; }
"""
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
        (function("Ok(vec![])", FORGED), "could not find `digest` in `sha2`"),
        (
            RustFunction("subject", SCRIPT.encode() + function("Ok(vec![])").code),
            "a `#` that begins",
        ),
        (function("Ok(vec![])", STRING), "line 4: serde compiles its strings"),
        (function("Ok(vec![])", PIECES), "line 3: a macro is given an attribute"),
        (
            function(
                "let x = &X[micro::unix_time_ns() as usize % 9];"
                "Ok(vec![x.fetch_add(1, core::sync::atomic::Ordering::Relaxed)])",
                "use core::sync::atomic::AtomicU8; const ZERO: AtomicU8 = AtomicU8::new(0);"
                "static X: [AtomicU8; 1 << 20] = [ZERO; 1 << 20];",
            ),
            "statics take 10",
        ),
        (
            function(
                "let x = Y(1, 2); Ok(vec![*&x.1 as u8])", "#[repr(packed)] struct Y(u8, u64);"
            ),
            "reference to packed field",
        ),
        (function("Ok(" + "(" * 500 + "vec![]" + ")" * 500 + ")"), "brackets in one another"),
        (function("Ok(vec![" + "1 + " * 50_000 + "1])"), "the compiler was ended by"),
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


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (SCRIPT, "/etc/passwd"),
        ('const _: () = panic!(include_str!("/etc/passwd"));\n', "/etc/passwd"),
        ('const _: &str = env!("PATH");\n', "PATH=/usr/bin:/bin"),
    ],
)
def test_compiler_alone_tells_what_it_read(
    toolchain: Toolchain,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    read: str,
) -> None:
    monkeypatch.setattr("orchestrator.micro.build.check", lambda function, toolchain: [])
    subject = RustFunction("subject", text.encode() + function("Ok(vec![])").code)
    folder = tmp_path / "with space, and comma"
    with pytest.raises(FunctionFileError, match=f"this one read {read}") as caught:
        build(subject, toolchain, folder=folder)
    assert "root:" not in caught.value.message
    build(sample("panic"), toolchain, folder=folder)


def test_other_gates_look_again(
    toolchain: Toolchain, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(sample("panic"), toolchain, folder=tmp_path)
    checker = tmp_path / "checker"
    checker.write_text("#!/bin/sh\necho '1: it is not liked'\nexit 1\n")
    checker.chmod(0o755)
    with pytest.raises(FunctionFileError, match="line 1: it is not liked"):
        build(sample("panic"), replace(toolchain, checker=checker), folder=tmp_path)
    assert build(sample("panic"), toolchain, folder=tmp_path) == first


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
