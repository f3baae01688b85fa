"""report.md and report.html of a results folder: one page that says it all, then every experiment.

The HTML holds its pictures, so that it can be sent around as one file.
"""

from __future__ import annotations

import base64
import html
import json
import pathlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt

from experiments import headlines, suite
from experiments.experiment import EXPERIMENTS
from experiments.markdown import table
from experiments.promises import Check
from experiments.raw_data import write_whole

_HEADING = re.compile(r"^(#+) ", re.MULTILINE)
_GAP = re.compile(r"^## What (did not work|is missing)$", re.MULTILINE)
_PICTURE = re.compile(r'<img src="([^"]+)"')
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #111; background: #fff;
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; display: block;
  overflow-x: auto; }
th, td { border: 1px solid #bbb; padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }
th { background: #eee; }
h1, h2 { border-bottom: 1px solid #bbb; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; }
  h2 { break-before: page; } h2, h3 { break-after: avoid; } img, tr { break-inside: avoid; }
  table { display: table; font-size: 7.5pt; }
}
"""


@dataclass(frozen=True)
class Section:
    """One experiment of a folder: its report, its verdicts, its picture, its environment."""

    name: str
    text: str
    checks: Sequence[Check]
    environment: Mapping[str, Any]


def write(folder: pathlib.Path) -> dict[str, Sequence[Check]]:
    """Write reports and pictures of all raw data in a folder again; return the verdicts by name.

    Raises OSError, ValueError, KeyError or TypeError, with the file's name, for raw data that
    cannot be read.
    """
    sections = []
    for experiment in EXPERIMENTS:
        raw = experiment.raw(folder)
        if not raw.exists():
            continue
        try:
            checks = experiment.write_again(folder)
            environment = json.loads(raw.read_text(encoding="utf-8"))["environment"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{raw} is not readable ({error})") from error
        text = (folder / experiment.report).read_text(encoding="utf-8")
        sections.append(Section(experiment.name, text, checks, environment))
    text = render(sections, suite.told(folder), headlines.of_folder(folder))
    write_whole(folder / "report.md", text)
    write_whole(folder / "report.html", to_html(text, folder))
    return {section.name: section.checks for section in sections}


def render(
    sections: Sequence[Section], state: Mapping[str, Any] | None, compared: Sequence[str] = ()
) -> str:
    """Return the whole report as Markdown, pictures as links.

    Args:
        sections: the experiments, in order.
        state: what a suite keeps of itself; None where there is none.
        compared: lines that say how the run compares with the papers.
    """
    parts = [
        f"# SEUSS: experiments ({_how(sections)})",
        "\n".join(_first_page(sections, state, compared)),
    ]
    if sections:
        parts += [
            "## Promises by experiment",
            _verdicts(sections, (state or {}).get("seconds", {})),
        ]
    missing = _missing(sections, state)
    if missing:
        parts += ["## Not in this run", "\n".join(missing)]
    for section in sections:
        own, _, rest = _HEADING.sub(r"#\1 ", section.text).partition("\n")
        picture = f"![{section.name}]({section.name}.png)"
        parts += [own, *([] if picture in rest else [picture]), rest.strip()]
    return "\n\n".join(parts) + "\n"


def to_html(text: str, folder: pathlib.Path) -> str:
    """Return the report as one HTML page; pictures of the folder are part of it."""
    # Texts of functions and guests are in it: so no HTML of theirs gets through.
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)

    def inline(found: re.Match[str]) -> str:
        picture = folder / pathlib.PurePath(html.unescape(found[1])).name
        if picture.suffix != ".png" or not picture.is_file():
            return found[0]
        data = base64.b64encode(picture.read_bytes()).decode()
        return f'<img src="data:image/png;base64,{data}"'

    title = html.escape(text.partition("\n")[0].lstrip("# "))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n"
        f"{_PICTURE.sub(inline, body)}</body></html>\n"
    )


def _how(sections: Sequence[Section]) -> str:
    """Say what ran the functions: the accelerators of guests, and native code last."""
    names = {str(each.environment.get("accelerator", "unknown")) for each in sections}
    native = {name for name in names if name.startswith("none")}
    return ", ".join(
        [*sorted(name.upper() for name in names - native), *(["native code"] * bool(native))]
    )


def _first_page(
    sections: Sequence[Section], state: Mapping[str, Any] | None, compared: Sequence[str]
) -> list[str]:
    """Say in about ten lines what was measured, on what, and how it compares."""
    if not sections:
        return ["- Nothing was measured."]
    facts = next((each.environment for each in sections if "qemu" in each.environment), {})
    facts = facts or sections[0].environment
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(float(facts["started"])))
    scale = f", scale {state['scale']}, seed {state['seed']}" if state else ""
    names = (f"{facts.get(name)}" for name in ("cpu", "cores", "memory_gib", "kernel", "qemu"))
    cpu, cores, memory, kernel, qemu = names
    checks = [check for each in sections for check in each.checks]
    kept = sum(check.passed is True for check in checks)
    missed = sum(check.passed is False for check in checks)
    open_ = len(checks) - kept - missed
    lines = [
        "- **What SEUSS is:** a node that answers calls of functions from snapshots of unikernel "
        "contexts: *cold* starts from the interpreter's snapshot, *warm* from the function's own, "
        "*hot* is an idle context. `uc` has many contexts in one virtual machine, `vm` a machine "
        "each; AO warms the interpreter up before it is captured.",
        f"- **What was measured:** {', '.join(each.name for each in sections)}; {when}, commit "
        f"{facts.get('commit')}{scale}.",
        f"- **On what:** {cpu}, {cores} shared cores, {memory} GiB, Linux {kernel}, {qemu}, "
        f"accelerator {facts.get('accelerator')} ({facts.get('accelerator_reason')}).",
    ]
    if facts.get("accelerator") == "tcg":
        lines.append(
            "- **TCG emulates the guest's processor:** guest times are an order of magnitude above "
            "those with KVM, while peers on the host run natively. Compare ratios within this run."
        )
    lines += [f"- {line}" for line in compared]
    lines.append(
        f"- **Promises:** of {len(checks)}, {kept} kept, {missed} missed, {open_} not measured or "
        "not judged; which, and by how much, is in the table below."
    )
    gaps = [each.name for each in sections if _GAP.search(each.text)]
    if gaps:
        lines.append(
            f"- **Gaps:** something failed or cannot run here in {', '.join(gaps)}; the reasons "
            "are at the end of these sections."
        )
    lines.append(
        "- Papers' figures stand beside ours in each section, marked as theirs and with their "
        "status: primary, second-hand or unconfirmed. Every sample is in the raw data; where a "
        "verdict leaves some out, its section says which and why."
    )
    return lines


def _verdicts(sections: Sequence[Section], seconds: Mapping[str, float]) -> str:
    rows = []
    for section in sections:
        judged = [check for check in section.checks if check.passed is not None]
        missed = [check for check in judged if check.passed is False]
        told = "; ".join(
            f"{check.promise}: {check.value:.3g} {check.unit}, not {check.bound}"
            for check in missed
        )
        open_ = [check for check in section.checks if check.passed is None]
        unknown = "; ".join(
            f"{check.promise}: {check.unjudged or check.detail or check.verdict}" for check in open_
        )
        kept = f"{len(judged) - len(missed)} of {len(section.checks)}"
        took = f"{seconds[section.name] / 60:.1f}" if section.name in seconds else "-"
        rows.append((section.name, took, kept, told or "-", unknown or "-"))
    return table(("experiment", "minutes", "kept", "missed", "not measured or judged"), rows)


def _missing(sections: Sequence[Section], state: Mapping[str, Any] | None) -> list[str]:
    there = {section.name for section in sections}
    failures = state["failures"] if state else {}
    return [
        f"- {each.name}: {failures.get(each.name, 'not run')}"
        for each in EXPERIMENTS
        if each.name not in there
    ]
