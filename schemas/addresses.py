"""The address of a client is its peer's, or what proxies that are trusted say it is: pure."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

HOPS_MAX = 20
"""Proxies on the way to a client; behind more of them, the address of the last counts."""


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Give the rightmost address of X-Forwarded-For that is no trusted proxy's.

    The header is read only as far as trusted proxies wrote it: of a stranger it is ignored, and
    behind an entry that is no address nobody is believed. Then the proxy's own address counts.
    """
    address = _read(peer)
    if address is None:
        return peer
    for entry in islice(_from_the_right(forwarded), HOPS_MAX):
        if not any(address in network for network in trusted):
            break
        before = _read(entry)
        if before is None:
            break
        address = before
    return str(address)


def network_of(address: str) -> str:
    """Give what one client is counted by: an IPv4 address, or the /64 of an IPv6 one.

    Whoever has an IPv6 address has its whole /64 (RFC 6177).
    """
    found = _read(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found or address)


def _from_the_right(forwarded: Sequence[str]) -> Iterator[str]:
    """Give the entries of all lines of the header, the last one first."""
    for line in reversed(forwarded):
        yield from (entry.strip() for entry in reversed(line.split(",")))


def _read(text: str) -> Address | None:
    """Read an address; one of IPv4 in IPv6's clothes is one of IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
