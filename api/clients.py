"""Who asks, as far as a network tells: what limits of those who are not logged in count by."""

from starlette.requests import Request

from api.services import services
from schemas.addresses import client_address, network_of


def client_network(request: Request) -> str:
    """Give the client's address, or its network where one client has many addresses."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.getlist("x-forwarded-for")
    return network_of(client_address(peer, forwarded, services(request).trusted_proxies))
