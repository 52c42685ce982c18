"""Which addresses may be called, in every way of writing them."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.address_guard import AddressGuard, Network
from service.errors import AddressRefused, Unreachable

PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",  # noqa: S104  # an address to refuse, not to bind
    "0.1.2.3",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "198.18.0.1",
    "192.0.0.0",
    "192.0.0.1",
    "192.0.0.7",
    "192.0.0.8",
    "192.0.0.11",
    "192.0.0.170",
    "192.0.0.171",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.1",
    "192.88.99.0",
    "192.88.99.1",
    "192.88.99.255",
    "100.127.255.255",
    "172.31.255.255",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.255",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b::c000:8",
    "64:ff9b::c058:6301",
    "64:ff9b::6440:1",
    "64:ff9b::c612:1",
    "::ffff:192.0.0.8",
    "::ffff:192.88.99.1",
    "::192.0.0.8",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:c000:8::",
    "2002:c058:6301::",
    "2002:6440:1::",
    "2002:c0a8:101::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo: the last four bytes are 192.0.2.45
    "2001:1::4",
    "2001:2::1",
    "2001:5::1",
    "2001:10::1",
    "2001:40::1",
    "100::1",
    "100:0:0:1::1",
    "200::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "fbff::1",
    "fe00::1",
    "feff::1",
]
PUBLIC = [
    "1.1.1.1",
    "140.82.112.3",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.1.1",
    "192.88.98.1",
    "192.88.100.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "198.17.255.255",
    "198.20.0.1",
    "2001:1::1",
    "2001:1::2",
    "2001:1::3",
    "2001:3::1",
    "2001:4:112::1",
    "2001:20::1",
    "2001:30::1",
    "2001:200::1",
    "2606:4700::1111",
    "2620:4f:8000::1",
    "2a00:1450:4001::8a",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]


def guard(*addresses: str, allow: bool | tuple[Network, ...] = False) -> AddressGuard:
    def resolve(_host: str, _port: int) -> tuple[str, ...]:
        return addresses

    return AddressGuard(allow, resolve=resolve)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        guard(address).addresses("api.example.com", 443)
    assert address not in str(caught.value), "the answer does not map our network"


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert guard(address).addresses("api.example.com", 443) == [ip_address(address)]


def test_only_permitted_addresses_of_a_name_are_given() -> None:
    found = guard("10.0.0.1", "1.1.1.1", "::1", "1.1.1.1").addresses("mixed.example.com", 443)
    assert found == [ip_address("1.1.1.1")]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "fe80::1", "::ffff:10.0.0.1"])
def test_private_addresses_pass_when_allowed(address: str) -> None:
    assert guard(address, allow=True).addresses("localhost", 80)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "224.0.0.1", "::"]
)
def test_places_that_hand_out_credentials_stay_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        guard(address, allow=True).addresses("metadata.example.com", 80)


def test_a_list_of_networks_opens_exactly_those() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert guard("10.9.9.9", allow=networks).addresses("x", 80)
    assert guard("::ffff:10.9.9.9", allow=networks).addresses("x", 80)
    assert guard("::1", allow=networks).addresses("x", 80)
    assert guard("1.1.1.1", allow=networks).addresses("x", 80)
    with pytest.raises(AddressRefused):
        guard("192.168.0.1", "127.0.0.1", allow=networks).addresses("x", 80)


def test_a_name_without_address_is_unreachable() -> None:
    def none(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(Unreachable):
        AddressGuard(resolve=none).addresses("nowhere.example.com", 443)
    with pytest.raises(Unreachable):
        guard().addresses("nowhere.example.com", 443)


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_opens_it(address: object) -> None:
    plain, strict = int(address), AddressGuard()  # type: ignore[call-overload]  # strategies give both families
    allowed = strict.permits(ip_address(plain))
    for prefix in (0xFFFF << 32, 0x0064FF9B << 96):
        assert strict.permits(ip_address(prefix | plain)) is allowed
    sixtofour = ip_address((0x2002 << 112) | (plain << 80))
    assert allowed or not strict.permits(sixtofour)


def test_what_looks_public_may_still_be_opened_by_its_network() -> None:
    networks = (ip_network("192.0.0.8/32"), ip_network("5f00::/16"))
    assert guard("192.0.0.8", allow=networks).addresses("x", 80)
    assert guard("5f00::1", allow=networks).addresses("x", 80)
    with pytest.raises(AddressRefused):
        guard("192.0.0.11", allow=networks).addresses("x", 80)


@given(st.ip_addresses(v=6))
def test_no_ipv6_outside_global_unicast_is_called_unless_it_embeds_ipv4(address: object) -> None:
    plain = ip_address(int(address))  # type: ignore[call-overload]  # as above
    if AddressGuard().permits(plain):
        inside = ("2000::/3", "::/96", "::ffff:0:0/96", "64:ff9b::/96")
        assert any(plain in ip_network(network) for network in inside)
