"""network-throughput.md: one download by system, and the promise beside a Linux guest."""

from __future__ import annotations

from experiments.markdown import table
from experiments.measurements import Measurements
from experiments.measurements_report import closing, notes, spread, title
from experiments.network_throughput import MIB, TITLES, UC
from experiments.peers.linux_network import NetworkedMicroVm
from experiments.promises import Check, promises
from experiments.summary import Ratio, ratio_of_medians


def check(record: Measurements) -> list[Check]:
    """Judge: a context downloads at least as fast as a Linux guest."""
    ratio = against(record, UC, NetworkedMicroVm.name)
    reason = record.unavailable.get(NetworkedMicroVm.name, "the run holds no samples of both")
    return [
        Check(
            f"download, {TITLES[UC]} / {TITLES[NetworkedMicroVm.name]}",
            *(1.0, "x", None if ratio is None else ratio.value),
            reason if ratio is None else ratio.told,
            least=True,
        )
    ]


def against(record: Measurements, system: str, other: str) -> Ratio | None:
    """Return how many times a system's throughput is another's, or None without samples."""
    above, below = (record.values("download", system=each) for each in (system, other))
    return ratio_of_medians(above, below, record.seed) if above and below else None


def render(record: Measurements) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    rows = []
    for name, text in TITLES.items():
        ratio = against(record, name, NetworkedMicroVm.name)
        rows.append(
            (
                text,
                spread(record.values("download", system=name)),
                "-" if ratio is None else f"{ratio.value:.3g} ({ratio.told})",
                record.unavailable.get(name, ""),
            )
        )
    head = ("system", "MiB/s: median (10 % to 90 %)", "/ Linux guest", "note")
    return (
        "\n\n".join(
            (
                title(record, "Throughput of a download"),
                notes(
                    record,
                    f"A function reads {MIB} MiB from a server on this machine over TCP, and looks "
                    "at the order of what comes. The guests have the same QEMU and accelerator, "
                    "one processor, and a virtio card (on PCI in the Linux guest, whose kernel "
                    "finds none elsewhere) on QEMU's user-mode network, which takes its part of "
                    "the host's processors; the process has none of these. The time "
                    "is the host's, from the call of a function that is loaded to its answer.",
                ),
                "![network-throughput](network-throughput.png)",
                "## Promises",
                promises(check(record)),
                "## Downloads",
                table(head, rows),
                *closing(record),
            )
        )
        + "\n"
    )
