"""Which addresses may be called: literals, and whatever a name resolves to.

A vendor's base address comes from configuration and a subscriber's from whoever made it, so neither
may lead a call into the network Hookwright stands in. The connection itself is made in
`http_transport.py`, to the very address that was checked here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from service.errors import AddressRefused, Unreachable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a name as texts. Raises OSError when there are none."""

# Where clouds hand out credentials of the machine. Some of these count as public addresses.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # task credentials of containers
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
        ),
    )
)
# Prefixes whose last four bytes are the IPv4 address that is reached: RFC 6052 §2.1, RFC 4291
# §2.5.5.1. Networks without IPv4 of their own reach every vendor through the first.
_EMBEDDING = tuple(map(IPv6Network, ("64:ff9b::/96", "::/96")))
# What is not globally reachable by IANA's registries of special-purpose addresses (RFC 6890),
# where `is_global` of Python 3.11 says otherwise or depends on the patch release.
_NOT_GLOBAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "100.64.0.0/10",  # shared address space, RFC 6598
            "192.0.0.0/24",  # protocol assignments, RFC 6890 §2.1
            "192.0.2.0/24",  # documentation, RFC 5737, like the next two
            "198.51.100.0/24",
            "203.0.113.0/24",
            "192.88.99.0/24",  # relays of 6to4, given up by RFC 7526
            "198.18.0.0/15",  # benchmarks, RFC 2544
        ),
    )
)
_NOT_GLOBAL_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, RFC 2928
            "2001:db8::/32",  # documentation, RFC 3849
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)
# Assignments within these that are globally reachable by the same registries.
_GLOBAL_AFTER_ALL: tuple[Network, ...] = (
    *map(IPv4Network, ("192.0.0.9/32", "192.0.0.10/32")),  # anycast, RFC 7723 and RFC 8155
    *map(IPv6Network, ("2001:1::1/128", "2001:1::2/128", "2001:1::3/128")),  # the same, RFC 9665
    *map(IPv6Network, ("2001:3::/32", "2001:4:112::/48")),  # AMT, RFC 7450; AS112, RFC 7535
    *map(IPv6Network, ("2001:20::/28", "2001:30::/28")),  # ORCHIDv2, RFC 7343; DRIP, RFC 9374
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out, RFC 4291 §2.4
_BROADCAST = IPv4Address("255.255.255.255")


def resolve_name(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver. Raises OSError when the name has no address."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class AddressGuard:
    """Decides which addresses may be called.

    `allow_private`: False refuses every address that is not public; True allows loopback, private
    and link-local ones, though not where clouds hand out credentials; a sequence of networks
    allows exactly their addresses besides the public ones. Multicast, broadcast and the
    unspecified address are never called.
    """

    def __init__(
        self,
        allow_private: bool | Sequence[Network] = False,  # noqa: FBT001, FBT002  # one meaning
        *,
        resolve: Resolve = resolve_name,
    ) -> None:
        self._allow_all = allow_private is True
        self._networks: tuple[Network, ...] = (
            () if isinstance(allow_private, bool) else tuple(allow_private)
        )
        self._resolve = resolve

    def permits(self, address: Address) -> bool:
        """Say whether this address may be called."""
        plain = _unmapped(address)
        if plain.is_multicast or plain.is_unspecified or plain == _BROADCAST:
            return False
        if any(plain in network for network in self._networks):
            return True
        if plain in _METADATA:
            return False
        if plain.is_loopback:
            return self._allow_all
        inner = _embedded(plain)
        if inner:
            return all(self.permits(address) for address in inner)
        return self._allow_all or _is_public(plain)

    def addresses(self, host: str, port: int) -> list[Address]:
        """Give the addresses of this host that may be called, in the resolver's order.

        Raises AddressRefused when it has addresses and none may be called, Unreachable when it has
        none.
        """
        try:
            texts = self._resolve(host, port)
        except (OSError, UnicodeError) as fault:
            raise Unreachable(f"the name {host} has no address now") from fault
        found = list(dict.fromkeys(_parse(text) for text in texts))
        permitted = [address for address in found if self.permits(address)]
        if not found:
            raise Unreachable(f"the name {host} has no address now")
        if not permitted:
            raise AddressRefused(
                f"calls to {host} are not allowed: it is or leads to a private address",
                hint="HOOKWRIGHT_ALLOW_PRIVATE_ADDRESSES opens private addresses: true, or a list"
                " of networks such as 10.0.0.0/8",
            )
        return permitted


def _parse(text: str) -> Address:
    return ip_address(text.partition("%")[0])  # a zone says which cable, not which address


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _embedded(address: Address) -> list[Address]:
    """Give the IPv4 addresses that routers or relays take out of this address."""
    if isinstance(address, IPv4Address):
        return []
    inner: list[Address] = []
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    if any(address in network for network in _EMBEDDING):
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return inner


def _is_public(address: Address) -> bool:
    if any(address in network for network in _GLOBAL_AFTER_ALL):
        return True
    if isinstance(address, IPv4Address):
        special = any(address in network for network in _NOT_GLOBAL_V4)
    else:
        known = any(address in network for network in _NOT_GLOBAL_V6)
        special = known or address not in _GLOBAL_UNICAST
    return address.is_global and not address.is_reserved and not special
