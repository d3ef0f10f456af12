"""Whose address counts: the peer's, or what trusted proxies say, and never what a stranger says."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.addresses import HOPS_MAX, client_address, network_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PROXY, STRANGER = "10.0.0.1", "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (STRANGER, [], STRANGER),
        (STRANGER, ["198.51.100.1"], STRANGER),
        (PROXY, [], PROXY),
        (PROXY, ["198.51.100.1"], "198.51.100.1"),
        (PROXY, ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
        (PROXY, ["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        (PROXY, ["192.0.2.66", "198.51.100.1, 10.9.9.9", "fd00::1"], "198.51.100.1"),
        (PROXY, ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (PROXY, ["198.51.100.1,rubbish"], PROXY),
        (PROXY, ["198.51.100.1, rubbish, 10.9.9.9"], "10.9.9.9"),
        (PROXY, ["198.51.100.1:4711"], PROXY),
        (PROXY, [""], PROXY),
        (PROXY, ["2001:DB8::0:1"], "2001:db8::1"),
        (f"::ffff:{PROXY}", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fd00::7", ["2001:db8::1"], "2001:db8::1"),
        ("fe80::1%eth0", ["198.51.100.1"], "fe80::1%eth0"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxy_counts(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert client_address(peer, forwarded, TRUSTED) == address


addresses = st.ip_addresses().map(str) | st.ip_addresses(network="10.0.0.0/8").map(str)
entries = addresses | st.text(max_size=20)
headers = st.lists(st.lists(entries, max_size=5).map(",".join), max_size=4)


@given(peer=addresses, forwarded=headers)
def test_whatever_a_header_says_an_address_comes_of_it(peer: str, forwarded: list[str]) -> None:
    address = client_address(peer, forwarded, TRUSTED)
    assert str(ip_address(address)) == address


@given(peer=st.ip_addresses(v=4, network="192.0.2.0/24").map(str), forwarded=headers)
def test_a_strangers_header_is_ignored(peer: str, forwarded: list[str]) -> None:
    assert client_address(peer, forwarded, TRUSTED) == peer


@given(forged=headers, own=st.ip_addresses(v=4, network="192.0.2.0/24").map(str))
def test_a_client_cannot_choose_its_address_behind_a_proxy(forged: list[str], own: str) -> None:
    """A proxy adds whom it talks to at the right; what the client wrote stands left of it."""
    assert client_address(PROXY, [*forged, own], TRUSTED) == own


def test_a_header_without_end_is_read_only_so_far() -> None:
    hops = [f"10.0.{n}.1" for n in range(HOPS_MAX + 50)]
    assert client_address(PROXY, [",".join(hops)], TRUSTED) == hops[-HOPS_MAX]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (STRANGER, STRANGER),
        ("::ffff:203.0.113.9", STRANGER),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("no address", "no address"),
    ],
)
def test_a_client_is_counted_by_an_address_of_ipv4_or_a_network_of_ipv6(
    address: str, network: str
) -> None:
    assert network_of(address) == network
