# SPDX-License-Identifier: MIT
"""Where a registry may send us: judged by what it writes, and again by the address that would be connected to."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from typing import Literal
from urllib.parse import urljoin, urlsplit

from ..errors import NetworkError, Origin

__all__ = ["Astray", "Reach", "check_address", "check_redirect", "is_loopback", "is_private", "join", "parted"]

# Signed addresses of storage have up to two thousand characters; this is where nobody's server follows any more.
MAX_LOCATION = 16 * 1024
# Host and port as all parsers of URLs read them alike. A backslash, a user name, or letters that IDNA turns into digits
# are read by one as a public host and by another as a private address.
END_OF_HOST = re.compile("[/?#]")
PLAIN_AUTHORITY = re.compile(r"[A-Za-z0-9._:\[\]-]+", re.ASCII)


# Azure's own services within every virtual machine: public by its number, and by nothing else.
# https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
WIRE_SERVER = ipaddress.ip_address("168.63.129.16")
# All of IPv6 that is given to networks of the world; site-local, multicast and IPv4-compatible addresses are not.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# IPv4 addresses as an IPv6 network without IPv4 writes them. https://www.rfc-editor.org/rfc/rfc6052#section-2.1
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# How far a connection may lead: to any address, to public ones only, or to this machine only.
Reach = Literal["any", "public", "loopback"]


class Astray(Exception):
    """A name led to an address where it must not lead; why, in words. No OSError: it is not worth another try."""


@lru_cache(maxsize=256)  # of one request it is asked six times, and of a host again and again
def parted(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and all the rest, as ``urlsplit`` parts them, which costs ten times as much.

    For absolute URLs that we have made, or that have passed ``join``.
    """
    scheme, _, rest = url.partition("://")
    end = END_OF_HOST.search(rest)
    at = end.start() if end else len(rest)
    return scheme, rest[:at], rest[at:]


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses, with or without a port."""
    name = _name(host)
    address = _address(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


@lru_cache(maxsize=256)
def is_private(host: str) -> bool:
    """True for loopback, and for addresses (not names) that are private, link-local or otherwise not public."""
    address = _address(_name(host))
    return is_loopback(host) or (address is not None and not _is_public(address))


def check_address(name: str, found: str, reach: Reach) -> bool:
    """Whether this address, to which the name leads, is a public one. Raises Astray when it is out of reach."""
    address = _address(found)
    if address is None:
        raise Astray(f"{name} has an address of a kind that is not known")
    public = _is_public(address)
    if reach == "public" and not public:
        raise Astray(f"it sends us to {name}, which is at the private address {address}")
    if reach == "loopback" and not address.is_loopback:
        raise Astray(f"plain http goes to this machine only, and {name} is at {address}")
    return public


def join(url: str, location: str, origin: Origin) -> str:
    """The absolute URL of what a registry names at ``url``. Raises NetworkError when it is no usable address."""
    try:
        target = urljoin(url, location) if len(location) <= MAX_LOCATION else ""
        parts = urlsplit(target)
        usable = PLAIN_AUTHORITY.fullmatch(parts.netloc) and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = None
    if not usable:
        host = urlsplit(url).netloc
        raise NetworkError(host, "redirect", "it redirects to something that is no usable address", origin=origin)
    return target


def check_redirect(first: str, url: str, target: str, origin: Origin) -> None:
    """Raise NetworkError when a registry sends us where it must not: to plain http, or into a private network.

    ``first`` is the URL that the caller asked for: a registry that is itself at a private address may stay there.
    """
    to = urlsplit(target)
    host = urlsplit(first).netloc
    if to.scheme not in ("https", "http"):
        raise NetworkError(host, "redirect", f"it redirects to a {to.scheme} URL", origin=origin)
    if to.scheme == "http" and urlsplit(url).scheme == "https":
        raise NetworkError(host, "redirect", "it redirects from https to plain http", origin=origin)
    if is_private(to.netloc) and not is_private(host):
        raise NetworkError(host, "redirect", f"it redirects to the private address {to.hostname}", origin=origin)


def _name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "").rstrip(".")


def _is_public(address: Address) -> bool:
    """Given to somebody in the world. What carries an IPv4 address within itself is as public as that."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and address != WIRE_SERVER
    if address in NAT64:
        return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour:
        return _is_public(address.sixtofour)
    return address in GLOBAL_UNICAST and address.is_global


def _address(name: str) -> Address | None:
    address: Address
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:  # 0x7f000001, 127.1 and 2130706433 are loopback too, to everything that calls inet_aton
            address = ipaddress.ip_address(socket.inet_aton(name))
        except (OSError, UnicodeError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
