"""`seuss snapshots`: looking at the store, checking it, removing from it."""

from __future__ import annotations

import hashlib
import json
import pathlib

import pytest
from click.testing import CliRunner

from orchestrator.cli import main

Ids = dict[str, str]


def test_list(runner: CliRunner, snapshots: Ids) -> None:
    done = runner.invoke(main, ["snapshots", "list"])
    head, *rows = done.stdout.splitlines()
    assert head.split()[:3] == ["ID", "LEVEL", "DEPTH"]
    assert {row.split()[0] for row in rows} == set(snapshots.values())


def test_list_as_json(runner: CliRunner, snapshots: Ids) -> None:
    done = runner.invoke(main, ["snapshots", "list", "--json"])
    found = {each["id"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == set(snapshots.values())
    assert found[snapshots["hello"]]["parent"] == snapshots["base"]


@pytest.mark.parametrize("command", ["list", "tree"])
def test_empty_store_says_so(runner: CliRunner, command: str) -> None:
    done = runner.invoke(main, ["snapshots", command])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no snapshots in" in done.stderr


def test_tree(runner: CliRunner, snapshots: Ids) -> None:
    root, first, second = runner.invoke(main, ["snapshots", "tree"]).stdout.splitlines()
    assert root.startswith(f"{snapshots['base']}  base")
    assert first.startswith("|-- ")
    assert second.startswith("`-- ")


def test_show_by_prefix(runner: CliRunner, snapshots: Ids) -> None:
    done = runner.invoke(main, ["snapshots", "show", snapshots["hello"][:12]])
    assert f"{snapshots['base']} -> {snapshots['hello']}" in done.stdout
    assert "fact machine" in done.stdout


def test_show_as_json(runner: CliRunner, snapshots: Ids) -> None:
    done = runner.invoke(main, ["snapshots", "show", "--json", snapshots["base"]])
    shown = json.loads(done.stdout)
    assert (shown["id"], shown["stored_pages"]) == (snapshots["base"], 3)


@pytest.mark.parametrize("name", ["ffff-no-such", ""])
def test_name_that_fits_none_or_several(runner: CliRunner, snapshots: Ids, name: str) -> None:
    done = runner.invoke(main, ["snapshots", "show", name])
    assert done.exit_code == 2
    assert "No snapshot in" in done.stderr or "fits several snapshots" in done.stderr


def test_verify_all(runner: CliRunner, snapshots: Ids) -> None:
    done = runner.invoke(main, ["snapshots", "verify"])
    assert (done.exit_code, done.stdout) == (0, "3 snapshots verified, none damaged\n")


@pytest.mark.parametrize("name", ["manifest.json", "pages.idx", "pages.bin", "state.bin"])
def test_verify_finds_one_flipped_bit(
    runner: CliRunner, snapshots: Ids, tmp_path: pathlib.Path, name: str
) -> None:
    path = tmp_path / "store" / "snapshots" / snapshots["hello"] / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.chmod(0o600)
    path.write_bytes(content)
    done = runner.invoke(main, ["snapshots", "verify"])
    assert done.exit_code == 3
    assert f"damaged: {snapshots['hello']}/{name}" in done.stderr


def test_parent_is_kept_unless_recursive(runner: CliRunner, snapshots: Ids) -> None:
    refused = runner.invoke(main, ["snapshots", "delete", snapshots["base"]])
    assert refused.exit_code == 2
    assert snapshots["hello"] in refused.stderr
    done = runner.invoke(main, ["snapshots", "delete", "--recursive", snapshots["base"]])
    assert done.exit_code == 0
    assert set(done.stdout.split()) == {"deleted", *snapshots.values()}
    assert runner.invoke(main, ["snapshots", "list"]).stdout == ""


def test_prune_keeps_what_an_image_in_use_can_restore(
    runner: CliRunner, snapshots: Ids, tmp_path: pathlib.Path
) -> None:
    used, rebuilt = tmp_path / "used.elf", tmp_path / "rebuilt.elf"
    used.write_bytes(b"image")  # the fixture's snapshots are of it
    rebuilt.write_bytes(b"another")
    prune = ["snapshots", "prune", "--image"]
    kept = runner.invoke(main, [*prune, str(rebuilt), "--image", str(used)])
    assert kept.stdout == "0 snapshots of other images, 0.0 MB; 3 left\n"
    looked = runner.invoke(main, [*prune, str(rebuilt), "--dry-run"])
    assert looked.stdout.count("would delete") == 3 and "; 0 left" in looked.stdout
    assert len(runner.invoke(main, ["snapshots", "list"]).stdout.splitlines()) == 4
    done = runner.invoke(main, [*prune, str(rebuilt)])
    assert {line.split()[1] for line in done.stdout.splitlines()[:-1]} == set(snapshots.values())
    assert runner.invoke(main, ["snapshots", "list"]).stdout == ""


def test_prune_takes_those_of_earlier_formats_but_not_of_later_ones(
    runner: CliRunner, snapshots: Ids, tmp_path: pathlib.Path
) -> None:
    used = tmp_path / "used.elf"
    used.write_bytes(b"image")
    folders = {}
    for version in (1, 3):
        raw = json.dumps({"format_version": version}, separators=(",", ":")).encode()
        name = hashlib.sha256(raw).hexdigest()[:16]
        folders[version] = tmp_path / "store" / "snapshots" / name
        folders[version].mkdir()
        (folders[version] / "manifest.json").write_bytes(raw)
    prune = ["snapshots", "prune", "--image", str(used)]
    looked = runner.invoke(main, [*prune, "--dry-run"])
    told = f"{folders[1].name}, which is of an earlier format\n"
    assert f"would delete {told}" in looked.stdout and folders[1].exists()
    done = runner.invoke(main, prune)
    assert f"deleted {told}" in done.stdout and not folders[1].exists()
    assert folders[3].exists() and folders[3].name in done.stderr
    assert "3 left" in done.stdout


def test_prune_without_an_image_deletes_nothing(
    runner: CliRunner, snapshots: Ids, tmp_path: pathlib.Path
) -> None:
    done = runner.invoke(main, ["snapshots", "prune", "--image", str(tmp_path / "none.elf")])
    assert done.exit_code == 3 and "none.elf" in done.stderr
    assert len(runner.invoke(main, ["snapshots", "list"]).stdout.splitlines()) == 4
