"""For machines: is the process alive, is it ready, and what does it count."""

from starlette.requests import Request
from starlette.responses import Response

from api.services import services
from streams.observability import metrics
from streams.observability.health import LIVE

_JSON = "application/json"


async def live(_: Request) -> Response:
    """Say that the process answers."""
    return Response(LIVE, media_type=_JSON)


async def ready(request: Request) -> Response:
    """Say whether the database answers just now."""
    well, body = await services(request).health.ready()
    return Response(body, 200 if well else 503, media_type=_JSON)


async def show_metrics(_: Request) -> Response:
    """Show all metrics in Prometheus' text format."""
    return Response(metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})
