"""Whose attempts are counted together: the address that a request comes from, as far as it can be believed."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
NOWHERE = "unknown"
_IPV6_BITS = 64
_MOST_HOPS = 32


def caller_address(peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """The address that a caller is counted under: an IPv4 address, or the /64 network of an IPv6 one, which one person has whole.

    A caller writes whatever it likes into `X-Forwarded-For`. So the chain is walked from its end, and only over hops that a
    trusted proxy has seen: the first address that is no trusted proxy is the caller's.

    Args:
        peer: who holds the other end of the connection; None where that is no address.
        forwarded: the values of all headers `X-Forwarded-For`, in their order.
        trusted: proxies whose word counts.
    """
    address = _address(peer or "")
    if address is None:
        return NOWHERE
    hops = [hop for value in forwarded for hop in value.split(",")][-_MOST_HOPS:]
    while hops and any(address in network for network in trusted):
        found = _address(hops.pop())
        if found is None:  # a trusted proxy wrote no address: what stands before it is worth nothing
            break
        address = found
    return _counted(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    plain = text.strip()
    if plain.startswith("["):  # `[2001:db8::1]:443`
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:  # `192.0.2.1:443`
        plain = plain.partition(":")[0]
    try:
        address = ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _counted(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _IPV6_BITS), strict=False))
