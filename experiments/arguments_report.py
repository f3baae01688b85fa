"""arguments.md of the arguments experiment: latency and gain by the share of common computation."""

from __future__ import annotations

from experiments.arguments import AHEAD, EXAMPLES, ISOLATIONS, SHARES, TURNS
from experiments.markdown import table
from experiments.measurements import Measurements
from experiments.measurements_report import closing, notes, spread, title
from experiments.promises import Check, promises
from experiments.summary import Ratio, ratio_of_medians

JUDGED = 0.9
"""The share at which the gain is judged."""
WAYS = {"vm": "vm, restored on demand", AHEAD: "vm, restored ahead", "uc": "uc"}


def check(record: Measurements) -> list[Check]:
    """Judge: with most of the computation common, the third level gains much."""
    found = []
    for isolation in ISOLATIONS:
        ratio = gain(record, isolation, JUDGED)
        found.append(
            Check(
                f"warm / resumed, {JUDGED:.0%} common ({isolation})",
                *(2.0, "x", None if ratio is None else ratio.value),
                "" if ratio is None else ratio.told,
                least=True,
            )
        )
    for way in (AHEAD, "uc"):
        ratio = example_gain(record, way)
        found.append(
            Check(
                f"warm / resumed, the example ({WAYS[way]})",
                *(10.0, "x", None if ratio is None else ratio.value),
                "" if ratio is None else ratio.told,
                least=True,
            )
        )
    return found


def example_gain(record: Measurements, way: str) -> Ratio | None:
    """Return how many times longer the example takes warm than resumed; None without samples."""
    warm = record.values("example", path="warm", way=way)
    resumed = record.values("example", path="resumed", way=way)
    return ratio_of_medians(warm, resumed, record.seed) if warm and resumed else None


def gain(record: Measurements, isolation: str, share: float) -> Ratio | None:
    """Return how many times longer warm takes than resumed, or None without samples."""
    labels = {"isolation": isolation, "share": f"{share:g}"}
    warm = record.values("latency", path="warm", **labels)
    resumed = record.values("latency", path="resumed", **labels)
    return ratio_of_medians(warm, resumed, record.seed) if warm and resumed else None


def render(record: Measurements) -> str:
    """Return the report as Markdown. Works on an unfinished record; what is missing is said."""
    rows = []
    for isolation in ISOLATIONS:
        for share in SHARES:
            labels = {"isolation": isolation, "share": f"{share:g}"}
            ratio = gain(record, isolation, share)
            rows.append(
                (
                    isolation,
                    f"{share:.0%}",
                    spread(record.values("latency", path="warm", **labels)),
                    spread(record.values("latency", path="resumed", **labels)),
                    "-" if ratio is None else f"{ratio.value:.3g} ({ratio.told})",
                    "no bound" if share == 1 else f"{1 / (1 - share):.3g}",
                )
            )
    examples = []
    for way in EXAMPLES:
        ratio = example_gain(record, way)
        examples.append(
            (
                WAYS[way],
                spread(record.values("example", path="warm", way=way)),
                spread(record.values("example", path="resumed", way=way)),
                "-" if ratio is None else f"{ratio.value:.3g} ({ratio.told})",
            )
        )
    head = ("isolation", "common", "warm, ms", "resumed, ms", "gain", "without any other cost")
    return (
        "\n\n".join(
            (
                title(record, "Gain of argument snapshots"),
                notes(
                    record,
                    f"One function of {TURNS:,} turns, of which a share comes before its snapshot "
                    "point and depends on the named argument alone. Warm does all turns; resumed "
                    "goes on from the point with those behind it. Every answer was checked; the "
                    f"order is shuffled with seed {record.seed}. The snapshots are taken ahead. "
                    "The paper has no third level.",
                ),
                "## Promises",
                promises(check(record)),
                "## Latency and gain (median, 10 to 90 %)",
                table(head, rows),
                "## The example: a search in Debian's licences",
                "`examples/search.py` builds an index before its point and answers a query behind "
                "it. Restored ahead: a machine stood at the point since the call before "
                "(`vm/ahead.py`).",
                table(("", "warm, ms", "resumed, ms", "gain"), examples),
                *closing(record),
            )
        )
        + "\n"
    )
