"""What clients send to write a task."""

from schemas.tasks import Status, TaskFields, Title


class TaskPut(TaskFields):
    """The body of a PUT: all that a client sets; what is absent gets its default, status stays.

    Whether `status` was given is in `model_fields_set`.
    """

    status: Status = Status.PENDING


class TaskPatch(TaskPut):
    """The body of a PATCH: only what is in `model_fields_set` is merged (RFC 7396).

    Null is a value where the field may be null, and an error where it may not. The title's default
    is never used.
    """

    title: Title = "-"
