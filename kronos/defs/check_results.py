"""From findings to check results."""

from collections.abc import Sequence

import dagster as dg

from kronos.core.quality import Finding
from kronos.defs.presentation import table


def result(
    finding: Finding,
    description: str,
    *,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    months: Sequence[str] = (),
) -> dg.AssetCheckResult:
    """The check's answer, with what breaks the rule and how much was looked at."""
    metadata: dict[str, dg.MetadataValue] = {
        "looked_at": dg.MetadataValue.int(finding.checked),
        "broken": dg.MetadataValue.int(finding.broken.height),
    }
    if months:
        metadata["months"] = dg.MetadataValue.text(span(months))
    if not finding.passed:
        metadata["rows"] = table(finding.broken)
    return dg.AssetCheckResult(passed=finding.passed, severity=severity, description=description, metadata=metadata)


def span(months: Sequence[str]) -> str:
    """Which months were looked at, in words."""
    if len(months) <= 1:
        return "".join(months)
    return f"{len(months)} months from {months[0]} to {months[-1]}"
