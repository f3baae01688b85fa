"""`seuss snapshots`: look at the store, check it, remove from it."""

from __future__ import annotations

import json
import pathlib
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import click

from orchestrator.cli import progress
from orchestrator.cli.options import store_option
from orchestrator.cli.table import columns
from orchestrator.image import image_digest
from orchestrator.runtimes import default_image
from snapshot_store import (
    PAGE_SIZE,
    Branch,
    Manifest,
    Problem,
    SnapshotStore,
    UnknownSnapshotError,
)

EXIT_FAULT = 3
MEGABYTE = 1e6


@click.group()
def snapshots() -> None:
    """The snapshots in the store: list, tree, show, verify, delete, prune.

    A snapshot is named by its id; the first digits are enough while they fit only one.
    """


@snapshots.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per snapshot, one a line.")
@store_option
def list_(as_json: bool, store: pathlib.Path) -> None:
    """List all snapshots, oldest first."""
    with SnapshotStore(store) as opened:
        manifests = opened.list()
        _warn_of_damaged(opened)
    if as_json:
        for manifest in manifests:
            click.echo(json.dumps(_as_json(manifest)))
        return
    if not manifests:
        click.echo(f"no snapshots in {store}", err=True)
        return
    rows = [("ID", "LEVEL", "DEPTH", "AO", "LABEL", "PAGES", "MB", "CREATED")]
    rows += [
        (
            manifest.id,
            manifest.level.value,
            manifest.depth.value,
            "yes" if manifest.ao else "no",
            manifest.label or "-",
            str(manifest.stored_pages),
            f"{manifest.stored_bytes / MEGABYTE:.2f}",
            _when(manifest.created),
        )
        for manifest in manifests
    ]
    for line in columns(rows):
        click.echo(line)


@snapshots.command()
@store_option
def tree(store: pathlib.Path) -> None:
    """Draw what is built on what, with the size that each snapshot adds."""
    with SnapshotStore(store) as opened:
        branches = opened.tree()
        _warn_of_damaged(opened)
    if not branches:
        click.echo(f"no snapshots in {store}", err=True)
    for branch in branches:
        click.echo(_leaf(branch.manifest))
        for line in _drawn(branch.children, ""):
            click.echo(line)


@snapshots.command()
@click.argument("snapshot")
@click.option("--json", "as_json", is_flag=True, help="The whole manifest as one JSON object.")
@store_option
def show(snapshot: str, as_json: bool, store: pathlib.Path) -> None:
    """Show all that is known of SNAPSHOT."""
    with SnapshotStore(store) as opened:
        lineage = [each.manifest for each in opened.lineage(_resolved(opened, snapshot))]
        children = opened.children(lineage[-1].id)
    manifest = lineage[-1]
    if as_json:
        click.echo(json.dumps(_as_json(manifest), indent=2))
        return
    spared = manifest.page_count - manifest.stored_pages
    rows = [
        ("id", manifest.id),
        ("level", f"{manifest.level} ({manifest.depth} isolation)"),
        ("label", manifest.label or "-"),
        ("lineage", " -> ".join(each.id for each in lineage)),
        ("children", ", ".join(child.id for child in children) or "none"),
        ("function", manifest.function or "-"),
        ("argument key", manifest.key or "-"),
        ("runtime", manifest.runtime),
        ("AO", "yes" if manifest.ao else "no"),
        ("image", manifest.image),
        ("created", _when(manifest.created)),
        (
            "pages",
            f"{manifest.page_count}: {manifest.stored_pages} stored, {spared} zero or repeated",
        ),
        ("page data", f"{manifest.stored_pages * PAGE_SIZE / MEGABYTE:.2f} MB"),
        ("state", f"{manifest.state_size / 1e3:.1f} kB"),
        ("on disk", f"{manifest.stored_bytes / MEGABYTE:.2f} MB"),
        ("format", str(manifest.format_version)),
        *((f"fact {name}", value) for name, value in sorted(manifest.facts.items())),
        *((f"block {block.name}", f"{block.size / 2**20:g} MiB") for block in manifest.blocks),
    ]
    for line in columns(rows):
        click.echo(line)


@snapshots.command()
@click.argument("snapshot", nargs=-1)
@store_option
def verify(snapshot: tuple[str, ...], store: pathlib.Path) -> None:
    """Check every bit of the SNAPSHOTs named and of all they are built on; without a name, of all.

    Exits with 3 if anything is not as it was committed.
    """
    with SnapshotStore(store) as opened:
        problems = {
            Problem(name, "manifest.json", reason): None
            for name, reason in opened.damaged().items()
            if not snapshot
        }
        chosen = [_resolved(opened, name) for name in snapshot] or _tips(opened.tree())
        seen: dict[str, None] = {}
        bar = progress.Progress("verifying", len(chosen))
        for done, name in enumerate(chosen):
            report = opened.verify(name)
            seen |= dict.fromkeys(report.lineage)
            problems |= dict.fromkeys(report.problems)
            bar.show(done + 1)
        bar.close()
    for problem in problems:
        click.echo(f"damaged: {problem}", err=True)
    if problems:
        click.echo(
            "Delete what is damaged (seuss snapshots delete); it is captured anew when needed.",
            err=True,
        )
        sys.exit(EXIT_FAULT)
    click.echo(f"{len(seen)} snapshots verified, none damaged")


@snapshots.command()
@click.argument("snapshot", nargs=-1, required=True)
@click.option("--recursive", is_flag=True, help="Also delete what is built on it.")
@store_option
def delete(snapshot: tuple[str, ...], recursive: bool, store: pathlib.Path) -> None:
    """Delete the SNAPSHOTs named. One that others are built on is kept, unless --recursive."""
    with SnapshotStore(store) as opened:
        for name in dict.fromkeys(_resolved(opened, each) for each in snapshot):
            for gone in opened.delete(name, recursive):
                click.echo(f"deleted {gone}")


@snapshots.command()
@click.option(
    "--image",
    "images",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    multiple=True,
    default=lambda: (default_image(),),
    show_default="$SEUSS_IMAGE, or build/ebbrt-python.elf",
    help="An image in use; may be given several times.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@store_option
def prune(images: tuple[pathlib.Path, ...], dry_run: bool, store: pathlib.Path) -> None:
    """Delete the snapshots that no image in use can restore.

    Those are of images built before, or of formats before this one.
    """
    kept = {image_digest(image) for image in images}
    with SnapshotStore(store) as opened:
        outdated = opened.outdated()
        gone = opened.prune(kept, look_only=dry_run)
        left = len(opened.list())
        _warn_of_damaged(opened)
    done = "would delete" if dry_run else "deleted"
    for snapshot_id in outdated:
        click.echo(f"{done} {snapshot_id}, which is of an earlier format")
    for manifest in gone:
        click.echo(f"{done} {_leaf(manifest)}")
    freed = sum(manifest.stored_bytes for manifest in gone) / MEGABYTE
    left -= len(gone) if dry_run else 0
    click.echo(f"{len(gone)} snapshots of other images, {freed:.1f} MB; {left} left")


def _resolved(store: SnapshotStore, prefix: str) -> str:
    """The one id that starts with `prefix`; UnknownSnapshotError for none or several."""
    known = [*(manifest.id for manifest in store.list()), *store.damaged()]
    found = [name for name in known if name.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownSnapshotError(
            prefix,
            f"No snapshot in {store.root} has an id that starts with {prefix!r}. "
            "`seuss snapshots list` shows them.",
        )
    raise UnknownSnapshotError(
        prefix, f"{prefix!r} fits several snapshots: {', '.join(found)}. Give more digits."
    )


def _tips(branches: Iterable[Branch]) -> list[str]:
    """Ids of the snapshots that nothing is built on: verifying them covers all."""
    tips = []
    for branch in branches:
        tips += _tips(branch.children) if branch.children else [branch.manifest.id]
    return tips


def _warn_of_damaged(store: SnapshotStore) -> None:
    for name, reason in store.damaged().items():
        click.echo(f"damaged and not shown: {name} ({reason})", err=True)


def _drawn(branches: tuple[Branch, ...], indent: str) -> Iterator[str]:
    for place, branch in enumerate(branches):
        last = place == len(branches) - 1
        yield f"{indent}{'`-- ' if last else '|-- '}{_leaf(branch.manifest)}"
        yield from _drawn(branch.children, indent + ("    " if last else "|   "))


def _leaf(manifest: Manifest) -> str:
    ao = "" if manifest.ao else ", no AO"
    size = f"{manifest.stored_bytes / MEGABYTE:.2f} MB"
    return f"{manifest.id}  {manifest.level}  {manifest.label or '-'}  {size}{ao}"


def _as_json(manifest: Manifest) -> dict[str, Any]:
    fields = dict(vars(manifest))
    fields["facts"] = dict(manifest.facts)
    fields["blocks"] = [asdict(block) for block in manifest.blocks]
    fields["checksums"] = {name: asdict(sums) for name, sums in manifest.checksums.items()}
    return fields | {"stored_bytes": manifest.stored_bytes}


def _when(created: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created))
