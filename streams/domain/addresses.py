"""Which addresses a stranger's URL may lead to: public ones, and those that the operator names."""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from yarl import URL

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # of protocols (RFC 6890), which not every Python knows
        "168.63.129.16/32",  # Azure's own, which looks public from inside
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "64:ff9b::/96",  # NAT64 carries an IPv4 address (RFC 6052)
        "64:ff9b:1::/48",  # the same, of local use (RFC 8215)
        "2001::/32",  # Teredo carries one too (RFC 4380)
        "2002::/16",  # and 6to4 (RFC 3056)
        "fec0::/10",  # site-local, from before RFC 3879
    )
)


def read_address(text: str) -> Address | None:
    """Read an address as URLs have it, IPv6 in brackets or not; None for a name."""
    try:
        return ip_address(text.strip("[]").partition("%")[0].rstrip("."))
    except ValueError:
        return None


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Tell whether a request of a stranger's may go there.

    An IPv4 address in the form of an IPv6 one (RFC 4291, section 2.5.5) counts as what it stands
    for. Loopback, private, link-local, shared, multicast and reserved networks are all not global,
    and the metadata services of clouds are in them, but for those named here.
    """
    if isinstance(address, IPv6Address) and (inner := _ipv4_within(address)):
        address = inner
    if any(address in network for network in allowed):
        return True
    if address.is_multicast or any(address in network for network in _NEVER):
        return False
    return address.is_global


def _ipv4_within(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    # "IPv4-compatible", deprecated, and still routed by some: ::a.b.c.d, but for :: and ::1.
    number = int(address)
    return IPv4Address(number) if 1 < number < 2**32 else None


def url_fault(text: str, allowed: Sequence[Network], *, allow_http: bool) -> str | None:
    """Say what is wrong with a URL that requests are to go to; None if nothing is, so far.

    Where a name leads is known only when it is resolved, and is looked at then.
    """
    try:
        url = URL(text)
        host = url.host
    except (ValueError, IndexError):  # the latter of yarl's own, as for https://[::1]@@
        return "must be a URL, as in https://example.org/hook"
    if url.scheme not in ({"https", "http"} if allow_http else {"https"}):
        return f"must begin with https://{' or http://' if allow_http else ''}"
    if not host or url.user is not None or url.password is not None or url.fragment:
        return "must have a host, and neither a user, a password nor a fragment"
    address = read_address(host)
    if address is not None and not is_allowed(address, allowed):
        return "must not lead to an address that is not public"
    return None
