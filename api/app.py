"""The API's wiring: every endpoint, every layer around them, and what they work with."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api import (
    accounts,
    audit,
    channels,
    machines,
    notifications,
    occurrences,
    reminders,
    resets,
    tasks,
    verification,
)
from api.browsers import Browsers
from api.passwords import Passwords
from api.problems import (
    answer_problem,
    answer_rule_error,
    answer_store_error,
    not_found,
)
from api.services import HookRules, Services
from api.tracking import LastResort, Tracking
from schemas.problems import Problem, ProblemError
from schemas.settings import Settings
from schemas.tokens import TokenKey
from streams.domain.tasks import RuleError
from streams.observability.health import Health
from streams.store.bell import open_bell
from streams.store.database import StoreError, open_database
from streams.store.vault import make_vault

_TASKS = "/api/{user_id}/tasks"
_TASK = _TASKS + "/{task_id}"
_NOTIFICATIONS = "/api/{user_id}/notifications"
_CHANNELS = "/api/{user_id}/channels"
_CHANNEL = _CHANNELS + "/{channel_id}"

ROUTES = [
    Route("/api/auth/register", accounts.register, methods=["POST"]),
    Route("/api/auth/login", accounts.login, methods=["POST"]),
    Route("/api/auth/verify", verification.verify, methods=["POST"]),
    Route("/api/auth/password/forgot", resets.forgot, methods=["POST"]),
    Route("/api/auth/password/reset", resets.reset, methods=["POST"]),
    Route("/api/auth/me", accounts.me, methods=["GET"]),
    Route(_TASKS, tasks.list_all, methods=["GET"]),
    Route(_TASKS, tasks.create, methods=["POST"]),
    Route(_TASK, tasks.read, methods=["GET"]),
    Route(_TASK, tasks.put, methods=["PUT"]),
    Route(_TASK, tasks.patch, methods=["PATCH"]),
    Route(_TASK, tasks.delete, methods=["DELETE"]),
    Route(_TASK + "/complete", tasks.complete, methods=["POST", "PATCH"]),
    Route(_TASK + "/reopen", tasks.reopen, methods=["POST", "PATCH"]),
    Route(_TASK + "/occurrences", occurrences.list_all, methods=["GET"]),
    Route(_TASK + "/skip", occurrences.skip, methods=["POST"]),
    Route(_TASK + "/end-series", occurrences.end_series, methods=["POST"]),
    Route(_TASK + "/reminders", reminders.list_all, methods=["GET"]),
    Route(_TASK + "/reminders", reminders.create, methods=["POST"]),
    Route(_TASK + "/reminders/{reminder_id}", reminders.delete, methods=["DELETE"]),
    Route(_TASK + "/reminders/{reminder_id}/snooze", reminders.snooze, methods=["POST"]),
    Route("/api/{user_id}/reminder-settings", reminders.read_settings, methods=["GET"]),
    Route("/api/{user_id}/reminder-settings", reminders.patch_settings, methods=["PATCH"]),
    Route("/api/{user_id}/audit", audit.list_all, methods=["GET"]),
    Route("/api/{user_id}/audit/export", audit.export, methods=["GET"]),
    Route(_NOTIFICATIONS, notifications.list_all, methods=["GET"]),
    Route(_NOTIFICATIONS + "/unread", notifications.unread, methods=["GET"]),
    Route(_NOTIFICATIONS + "/read-all", notifications.read_all, methods=["POST"]),
    Route(_NOTIFICATIONS + "/{notification_id}/read", notifications.read, methods=["POST"]),
    Route(_CHANNELS, channels.list_all, methods=["GET"]),
    Route(_CHANNELS, channels.create, methods=["POST"]),
    Route(_CHANNEL, channels.read, methods=["GET"]),
    Route(_CHANNEL, channels.patch, methods=["PATCH"]),
    Route(_CHANNEL, channels.delete, methods=["DELETE"]),
    Route(_CHANNEL + "/test", channels.test, methods=["POST"]),
    Route(_CHANNEL + "/rotate", channels.rotate, methods=["POST"]),
    Route(_CHANNEL + "/deliveries", channels.list_deliveries, methods=["GET"]),
    Route("/api/{user_id}/email/verification", verification.ask, methods=["POST"]),
    Route("/health/live", machines.live, methods=["GET"]),
    Route("/health/ready", machines.ready, methods=["GET"]),
    Route("/metrics", machines.show_metrics, methods=["GET"]),
]


def make_app(settings: Settings) -> Starlette:
    """Make the API; its lifespan opens the database, which may be away when it starts."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, Services]]:
        async with (
            open_database(settings.required_database_url()) as database,
            open_bell(database) as bell,
        ):
            yield {
                "services": Services(
                    database=database,
                    bell=bell,
                    key=TokenKey(settings.required_jwt_secret()),
                    passwords=Passwords(),
                    health=Health({"database": database.check}),
                    vault=make_vault([key.get_secret_value() for key in settings.channel_keys]),
                    hook_rules=HookRules(
                        settings.webhook_allow_networks, settings.webhook_allow_http
                    ),
                    trusted_proxies=settings.trusted_proxies,
                )
            }

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        middleware=[
            Middleware(Tracking),
            Middleware(Browsers, origins=settings.cors_origins),
            Middleware(LastResort),
        ],
        exception_handlers={
            ProblemError: answer_problem,
            StoreError: answer_store_error,
            RuleError: answer_rule_error,
            HTTPException: _answer_routing_error,
        },
    )
    # A redirection to the path without its slash would name the scheme and host that this process
    # sees, which behind a proxy are others, and the token would follow it there.
    app.router.redirect_slashes = False
    return app


async def _answer_routing_error(request: Request, error: Exception) -> Response:
    """Answer for the router: no such path, or not with this method."""
    if isinstance(error, HTTPException) and error.status_code == Problem.METHOD_NOT_ALLOWED.status:
        allowed = {
            method
            for route in ROUTES
            if route.path_regex.match(request.scope["path"])
            for method in route.methods or ()
        }
        problem = ProblemError(
            Problem.METHOD_NOT_ALLOWED,
            f"{request.method} is not done here.",
            headers={"Allow": ", ".join(sorted(allowed))},
        )
        return await answer_problem(request, problem)
    return await answer_problem(request, not_found())
