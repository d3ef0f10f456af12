"""The health port of a process that serves nothing else: /health/live, /health/ready, /metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from schemas.settings import Settings
from streams.observability import metrics
from streams.observability.health import LIVE, Health


@asynccontextmanager
async def health_port(settings: Settings, health: Health) -> AsyncIterator[None]:
    """Listen on HEALTH_PORT while the context is open; without that setting, do nothing."""
    if settings.health_port is None:
        yield
        return
    runner = web.AppRunner(_application(health), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.health_host, settings.health_port).start()
        yield
    finally:
        await runner.cleanup()


def _application(health: Health) -> web.Application:
    async def live(_: web.Request) -> web.Response:
        return web.Response(body=LIVE, content_type="application/json")

    async def ready(_: web.Request) -> web.Response:
        well, body = await health.ready()
        return web.Response(body=body, status=200 if well else 503, content_type="application/json")

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    application = web.Application()
    application.router.add_get("/health/live", live)
    application.router.add_get("/health/ready", ready)
    application.router.add_get("/metrics", show_metrics)
    return application
