"""Pack the small tree that the C++ tests of the archive read."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODIFIED = "1700000000"


def make_tree(root: Path) -> None:
    """Make files of every kind that an archive treats in a way of its own."""
    for directory in ("bin", "lib/deep/deeper", "lib/none", "tmp", "dev"):
        (root / directory).mkdir(parents=True)
    program = root / "bin/python"
    program.write_bytes(b"\x7fELF" + bytes(range(256)) * 40)
    program.chmod(0o755)
    (root / "bin/python3").symlink_to("/bin/python")
    (root / "lib/empty").write_bytes(b"")
    (root / "lib/one_page").write_bytes(b"p" * 4096)
    (root / "lib/text").write_text("hello\n", encoding="ascii")
    (root / "lib/deep/deeper/text").write_text("deep\n", encoding="ascii")
    (root / "lib/read_only").write_text("r", encoding="ascii")
    (root / "lib/read_only").chmod(0o444)
    (root / "tmp/hidden").write_text("never seen", encoding="ascii")
    (root / "dev/hidden").write_text("never seen", encoding="ascii")
    for number in range(100):
        (root / f"lib/none/{number:03}").write_text(str(number), encoding="ascii")
    for path in root.rglob("*"):
        if not path.is_symlink() and path not in (program, root / "lib/read_only"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    root.chmod(0o755)


def main(packer: Path, out: Path) -> None:
    """Make the tree in a directory that goes away, and pack it to out."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        make_tree(root)
        environment = os.environ | {"SOURCE_DATE_EPOCH": MODIFIED}
        command = [sys.executable, str(packer), str(root), str(out)]
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
