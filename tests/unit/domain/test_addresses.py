"""A stranger's URL leads to public addresses only, however the others are spelled."""

from ipaddress import ip_network

import pytest

from streams.domain.addresses import is_allowed, read_address, url_fault

REFUSED = [
    "0.0.0.0",  # noqa: S104 - an address to refuse, and not to listen on
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "[::1]",
    "127.0.0.1.",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_public_is_refused(text: str) -> None:
    address = read_address(text)
    assert address is not None
    assert not is_allowed(address, ())


@pytest.mark.parametrize("text", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14"])
def test_what_is_public_is_allowed(text: str) -> None:
    address = read_address(text)
    assert address is not None
    assert is_allowed(address, ())


def test_a_network_that_the_operator_names_is_allowed_and_no_other() -> None:
    allowed = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    for text, expected in (
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("fd00::1", True),
        ("10.0.0.1", False),
        ("::1", False),
    ):
        address = read_address(text)
        assert address is not None
        assert is_allowed(address, allowed) is expected


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "example.org",
        "https://",
        "https:///path",
        "https://user@example.org/",
        "https://user:password@example.org/",
        "https://:password@example.org/",
        "https://example.org/#part",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://[::1]@@@",
    ],
)
def test_a_url_that_cannot_be_right_is_refused_before_it_is_kept(url: str) -> None:
    assert url_fault(url, (), allow_http=False) is not None


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org:8443/a?b=c"])
def test_a_good_url_has_no_fault(url: str) -> None:
    assert url_fault(url, (), allow_http=False) is None


def test_http_is_for_those_who_allow_it() -> None:
    assert url_fault("http://example.org/", (), allow_http=True) is None
