"""Findings as text and as JSON-compatible rows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vjepa_sim.data.lint.finding import ERROR, WARNING, Finding
from vjepa_sim.envs.errors import printable

SHOWN = 5  # most findings of each check in the text
WIDTH = 120


def findings_text(findings: Sequence[Finding]) -> str:
    """Findings as plain text, by check: errors first; the data set's findings, then the first episodes'."""
    if not findings:
        return "Nothing was found."
    lines = [_counts(findings)]
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in sorted(findings, key=lambda each: (ERROR, WARNING).index(each.severity)):
        groups.setdefault((finding.severity, finding.check), []).append(finding)
    for (severity, check), group in groups.items():
        lines += ["", f"{severity}: {check} ({_counts(group)})"]
        for finding in group[:SHOWN]:
            place = finding.episode or "the whole data set"
            row = "" if finding.row is None else f", row {finding.row}"
            lines += textwrap.wrap(
                f"{place}{row}: {finding.what}.", WIDTH, initial_indent="  ", subsequent_indent="    "
            )
        if len(group) > SHOWN:
            lines.append(f"  and {len(group) - SHOWN} more (--json FILE has them all)")
        for remedy in dict.fromkeys(finding.remedy for finding in group[:SHOWN]):
            lines += textwrap.wrap(f"→ {remedy}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return printable("\n".join(lines))


def findings_rows(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One JSON-compatible object for each finding."""
    return [asdict(finding) for finding in findings]


def _counts(findings: Sequence[Finding]) -> str:
    episodes = {finding.number for finding in findings if finding.number is not None}
    count = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}"
    if not episodes:
        return count
    return f"{count} in {len(episodes)} episode{'s' if len(episodes) != 1 else ''}"
