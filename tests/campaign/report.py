"""What a campaign has shown, in words."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from tests.campaign.checker import Violation
from tests.campaign.evidence import Evidence
from tests.campaign.history import History

SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Struck:
    """Faults that happened together, and how long it took until all worked again."""

    at_s: float
    names: Sequence[str]
    recovery_s: float | None


@dataclass(slots=True)
class Outcome:
    """What a campaign has shown."""

    seed: int
    lasted_s: float
    struck: list[Struck] = field(default_factory=list)
    violations: Sequence[Violation] = ()
    history: History = field(default_factory=History)
    evidence: Evidence = field(default_factory=Evidence)
    full_disk: bool = True


def report(outcome: Outcome) -> str:
    """Tell what was done, how long recovery took by kind of fault, and what was found."""
    return "\n".join(
        [
            _counts(outcome),
            *_recoveries(outcome.struck),
            *(() if outcome.full_disk else ("  left out: a full disk, for want of a mount",)),
            *(f"  VIOLATION of {violation}" for violation in outcome.violations[:SHOWN_MAX]),
            f"  {len(outcome.violations)} violations, seed {outcome.seed}",
        ]
    )


def _counts(outcome: Outcome) -> str:
    history, evidence = outcome.history, outcome.evidence
    counts = {
        "writes": len(history.writes),
        "of them answered": len(history.answered),
        "reads": history.counts["read"],
        "trespasses tried": history.counts["trespass"],
        "faults": sum(len(one.names) for one in outcome.struck),
        "events of tasks": len(evidence.events),
        "of reminders": len(evidence.reminders),
        "records": evidence.records,
        "poison": history.poison,
        "resumes": sum(one.resumed for one in history.heard),
        "told to load afresh": sum(len(one.visits) - 1 for one in history.heard),
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"seed {outcome.seed}, {outcome.lasted_s / 60:g} minutes: {said}"


def _recoveries(struck: Sequence[Struck]) -> Iterator[str]:
    singles: dict[str, list[float]] = defaultdict(list)
    for one in struck:
        if len(one.names) == 1 and one.recovery_s is not None:
            singles[one.names[0].rstrip("-12")].append(one.recovery_s)
    every = [one for found in singles.values() for one in found]
    if len(every) > 1:
        cuts = quantiles(every, n=100, method="inclusive")
        yield f"  recovery after a single fault: p50 {cuts[49]:.1f} s, p99 {cuts[98]:.1f} s"
    for name, found in sorted(singles.items()):
        yield f"    {name:<22} {len(found):>3}  longest {max(found):5.1f} s"
