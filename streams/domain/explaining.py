"""Why a recurring task has a successor or not, in sentences for an operator."""

from dataclasses import asdict, dataclass
from uuid import UUID

from schemas import codec
from schemas.tasks import RecurrencePattern, Status, Task
from streams.domain.overrides import in_series
from streams.domain.succession import Step, Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """A task's state, each successor with its verdict, and what is missing; no text of a user's."""

    task_id: UUID
    version: int
    status: str
    deleted: bool
    rule: str
    series_id: UUID | None
    occurrence: int | None
    sentences: tuple[str, ...]

    def as_json(self) -> str:
        """Give one JSON object on one line."""
        return codec.encode(asdict(self)).decode()

    def as_text(self) -> str:
        """Give lines to read."""
        series = f"occurrence {self.occurrence} of series {self.series_id}"
        deleted = ", deleted" if self.deleted else ""
        return "\n".join(
            [
                f"task {self.task_id}: {self.status}{deleted}, version {self.version}",
                f"{self.rule}; {series if self.series_id else 'of no series'}",
                *self.sentences,
            ]
        )


def explain_task(task: Task, steps: list[Step], waiting: int) -> Explanation:
    """Tell what the worker has done, or has still to do; `waiting` events are not yet published."""
    sentences = [_why(task, steps), *(_about(step) for step in steps)]
    if any(step.change for step in steps):
        sentences.append(
            f"{waiting} of its events wait for the relay to publish them"
            if waiting
            else "its event is published: the worker is behind, or halted, or the event is a dead"
            " letter of task-events"
        )
    return Explanation(
        task_id=task.id,
        version=task.version,
        status=task.status.value,
        deleted=task.deleted_at is not None,
        rule=_rule(task),
        series_id=task.series_id,
        occurrence=task.occurrence,
        sentences=tuple(sentences),
    )


def _why(task: Task, steps: list[Step]) -> str:
    if task.recurrence_pattern is RecurrencePattern.NONE:
        return "it does not recur, so nothing follows it"
    if task.status is Status.PENDING:
        return "it is not completed, so nothing follows it yet"
    has = {Verdict.MADE, Verdict.BROUGHT_BACK, Verdict.RENEWED, Verdict.RIGHT, Verdict.KEPT}
    if any(step.verdict in has for step in steps):
        return "it is completed, so one task follows it"
    return "it is completed, and its rule gives no further day: the series has ended"


def _about(step: Step) -> str:
    still = "still to be done: " if step.change else ""
    return f"successor {step.successor_id}: {still}{step.verdict}"


def _rule(task: Task) -> str:
    if task.recurrence_pattern is RecurrencePattern.NONE:
        return "no recurrence"
    more = f";{task.recurrence_rule}" if task.recurrence_rule else ""
    return (
        f"FREQ={task.recurrence_pattern.upper()};INTERVAL={task.recurrence_interval}{more}"
        f" from {task.recurrence_mode}, anchor {task.recurrence_anchor},"
        f" due {in_series(task).due_date}, catch up {task.recurrence_catch_up}"
    )
