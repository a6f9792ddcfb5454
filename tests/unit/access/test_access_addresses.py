"""Under which address a caller is counted: what callers write about themselves counts only where a trusted proxy saw it."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.access.signing.addresses import NOWHERE, caller_address

PROXIES = (ip_network("10.0.0.0/24"), ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # not through a proxy: its own word
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),  # what stands before was written by the caller
        ("10.0.0.5", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["198.51.100.1, 10.0.0.6"], "198.51.100.1"),
        ("10.0.0.5", ["10.0.0.7, 10.0.0.6"], "10.0.0.7"),
        ("10.0.0.5", ["198.51.100.1, nonsense"], "10.0.0.5"),
        ("10.0.0.5", ["198.51.100.1, nonsense, 10.0.0.6"], "10.0.0.6"),
        ("10.0.0.5", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.5", ["[2001:db8::1]:443"], "2001:db8::/64"),
        ("2001:db8:ffff::2", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8::1:2:3:4", [], "2001:db8:0:0::/64"),
        ("::ffff:10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:192.0.2.7", [], "192.0.2.7"),
        ("fe80::1%eth0", [], "fe80::/64"),
        (None, ["198.51.100.1"], NOWHERE),
        ("testclient", [], NOWHERE),
        ("", [], NOWHERE),
    ],
)
def test_whose_word_counts(peer: str | None, forwarded: list[str], counted: str) -> None:
    """The first address that no trusted proxy has is the caller's; IPv6 is counted by /64."""
    expected = str(ip_network(counted)) if "/" in counted else counted
    assert caller_address(peer, forwarded, PROXIES) == expected


@given(st.lists(st.text(max_size=60), max_size=50), st.ip_addresses())
def test_without_a_trusted_proxy_no_header_changes_anything(forwarded: list[str], peer: object) -> None:
    """However many headers a caller invents, it is counted under its own address."""
    assert caller_address(str(peer), forwarded, ()) == caller_address(str(peer), (), ())


@given(st.lists(st.text(max_size=60), max_size=50))
def test_nobody_is_counted_as_something_that_is_no_address(forwarded: list[str]) -> None:
    """What is counted is an address or a network, whatever stands in the headers; nothing fails."""
    counted = caller_address("10.0.0.5", forwarded, PROXIES)
    assert str(ip_network(counted) if "/" in counted else ip_address(counted)) == counted


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=40), st.ip_addresses(v=4))
def test_what_a_caller_puts_in_front_is_without_effect(invented: list[str], caller: object) -> None:
    """A proxy appends whom it saw; what the caller sent before that does not matter."""
    if ip_address(str(caller)) in PROXIES[0]:
        return
    seen = ", ".join([*invented, str(caller)])
    assert caller_address("10.0.0.5", [seen], PROXIES) == str(caller)
