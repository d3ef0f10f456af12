"""What comes next in a series, by its mode and its policy for what was missed; days only."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import assert_never

from schemas.recurrence import RuleParts, parse_rule
from schemas.tasks import RecurrenceCatchUp, RecurrenceMode, RecurrencePattern, Task, TaskFields
from streams.domain.overrides import in_series
from streams.domain.recurrence import Rule, first_after, last_between

_DAY = timedelta(days=1)


def rule_of(fields: TaskFields | Task) -> Rule | None:
    """Give the rule of a task; None if it does not recur."""
    if fields.recurrence_pattern is RecurrencePattern.NONE:
        return None
    text = fields.recurrence_rule
    parts = parse_rule(text) if text is not None else RuleParts()
    return Rule(fields.recurrence_pattern, fields.recurrence_interval, parts)


def counts_from_due(fields: TaskFields | Task) -> bool:
    """Tell whether the next day counts from the due day, and not from the day of completion."""
    return fields.recurrence_mode is RecurrenceMode.DUE and fields.due_date is not None


def next_day_if_on_time(
    fields: TaskFields, anchor: date | None, moved_to: date | None = None
) -> date | None:
    """Give the day after a task's due day, as if it were done then; None without a due day.

    One that was moved for itself is done on the day that it was moved to.
    """
    rule, done_on = rule_of(fields), moved_to or fields.due_date
    if rule is None or done_on is None:
        return None
    if fields.due_date is None or not counts_from_due(fields):
        return _first_after_done(rule, done_on)
    return _first_after_due(rule, fields, anchor or fields.due_date, fields.due_date, done_on)


def next_day(task: Task, done_on: date) -> date | None:
    """Give the day of the occurrence that follows a task which is done on a day.

    None if it does not recur, or the series ends with it. COUNT counts the days of the rule from
    the anchor on; from completion, the occurrences. The task is as its series has it.
    """
    rule = rule_of(task)
    if rule is None:
        return None
    if task.due_date is None or not counts_from_due(task):
        count = rule.parts.count
        ended = count is not None and (task.occurrence or 1) >= count
        return None if ended else _first_after_done(rule, done_on)
    anchor = task.recurrence_anchor or task.due_date
    return _first_after_due(rule, task, anchor, task.due_date, done_on)


def _first_after_due(
    rule: Rule, fields: TaskFields | Task, anchor: date, due_on: date, done_on: date
) -> date | None:
    not_before = max(due_on, done_on - _DAY)
    match fields.recurrence_catch_up:
        case RecurrenceCatchUp.ALL:
            return first_after(rule, anchor, due_on)
        case RecurrenceCatchUp.NONE:
            return first_after(rule, anchor, not_before)
        case RecurrenceCatchUp.ONE:
            missed = last_between(rule, anchor, due_on, done_on) if done_on > due_on else None
            return missed or first_after(rule, anchor, not_before)
        case _:
            assert_never(fields.recurrence_catch_up)


def following_anchor(task: Task, next_on: date) -> date:
    """Give the anchor of the occurrence that follows: the task's own, or else its day."""
    if counts_from_due(task):
        return task.recurrence_anchor or task.due_date or next_on
    return next_on


def preview(task: Task, today: date, count: int) -> Iterator[tuple[int, date]]:
    """Give the numbers and days of the occurrences that follow, at most `count`.

    As if this one were done on its due day, or today if that is later, and each of the others on
    its day; one that is completed, on the day given as today.
    """
    done_on = today
    if task.completed_at is None and task.due_date is not None:
        done_on = max(today, task.due_date)
    task = in_series(task)
    for _ in range(count):
        next_on = next_day(task, done_on)
        if next_on is None:
            return
        number = (task.occurrence or 1) + 1
        yield number, next_on
        anchor = following_anchor(task, next_on)
        task = task.model_copy(
            update={"due_date": next_on, "recurrence_anchor": anchor, "occurrence": number}
        )
        done_on = max(done_on, next_on)


def _first_after_done(rule: Rule, done_on: date) -> date | None:
    uncounted = replace(rule, parts=replace(rule.parts, count=None))
    return first_after(uncounted, done_on, done_on)
