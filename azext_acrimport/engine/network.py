# SPDX-License-Identifier: MIT
"""What may go wrong below HTTP, and where a registry may send us."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from .errors import NetworkError, Origin, TlsError
from .retry import RetryPolicy

__all__ = ["check_redirect", "delay", "is_loopback", "is_private", "join", "translate"]

# A name that does not resolve, or a port where nobody listens, is most often a typing error: one more try is enough.
QUICK_ATTEMPTS = 2

# Host and port as all parsers of URLs read them alike. A backslash, a user name, or letters that IDNA turns into digits
# are read by one as a public host and by another as a private address.
PLAIN_AUTHORITY = re.compile(r"[A-Za-z0-9._:\[\]-]+", re.ASCII)

# What OpenSSL says, from version to version, when the answer to its greeting is not TLS but, most often, plain http.
NOT_TLS = re.compile(
    r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|HTTP_REQUEST|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG"
    r"|wrong version number|record layer failure|packet length too long",
    re.ASCII,
)

_REASONS: tuple[tuple[str, str, str], ...] = (
    # reason, in the names of the exceptions or their text, what is said
    # not every ProxyError: urllib3 calls by that name also a connection that is cut long after the proxy has opened it
    ("proxy", r"Tunnel connection failed", "the proxy refused the connection"),
    ("proxy", r"ProxyError.*(refused|resolve|not known|getaddrinfo)", "the proxy could not be reached"),
    ("dns", r"gaierror|NameResolutionError|Name or service not known|getaddrinfo", "its name does not resolve"),
    ("refused", r"ConnectionRefusedError|Connection refused|actively refused", "nothing listens there"),
    ("timeout", r"ConnectTimeout|ReadTimeout|TimeoutError|timed out", "no answer came in time"),
    (
        "reset",
        r"ConnectionReset|BrokenPipe|RemoteDisconnected|IncompleteRead|ProtocolError|aborted",
        "the connection was cut",
    ),
)


def translate(error: BaseException, host: str, origin: Origin) -> NetworkError:
    """The NetworkError for whatever ``requests``, ``urllib3``, ``ssl`` or ``socket`` raised."""
    chain = list(_chain(error))
    if "TLS CA certificate bundle" in str(error):  # requests' words for a REQUESTS_CA_BUNDLE that is no file
        return TlsError(host, "the file with authorities, REQUESTS_CA_BUNDLE, is not there", origin=origin)
    causes = [cause for cause in chain if isinstance(cause, ssl.SSLError) and "Tunnel connection" not in str(cause)]
    if causes:
        return _tls_error(causes, host, origin)
    words = " ".join(f"{type(cause).__name__} {cause}" for cause in chain)
    for reason, pattern, said in _REASONS:
        if re.search(pattern, words):
            return NetworkError(host, reason, said, origin=origin)
    return NetworkError(host, "other", type(error).__name__, origin=origin)


def _tls_error(causes: list[ssl.SSLError], host: str, origin: Origin) -> TlsError:
    # reason and verify_message are there only when OpenSSL made the exception
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = getattr(cause, "verify_message", "") or "not trusted"
            return TlsError(host, f"its certificate could not be verified ({why})", origin=origin)
    words = " ".join(f"{getattr(cause, 'reason', '')} {cause}" for cause in causes)
    said = next((str(cause.reason) for cause in causes if getattr(cause, "reason", None)), "no reason given")
    what = f"the TLS handshake failed ({said.replace('_', ' ').lower()})"
    return TlsError(host, what, spoken=not NOT_TLS.search(words), origin=origin)


def delay(policy: RetryPolicy, attempt: int, error: NetworkError) -> float | None:
    """Seconds to wait before the next attempt, or None: some failures do not pass by waiting."""
    if isinstance(error, TlsError) or error.reason in ("proxy", "redirect"):
        return None
    if error.reason in ("dns", "refused") and attempt >= QUICK_ATTEMPTS:
        return None
    return policy.delay(attempt, None)


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses, with or without a port."""
    name = _name(host)
    address = _address(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def is_private(host: str) -> bool:
    """True for loopback, and for addresses (not names) that are private, link-local or otherwise not public."""
    address = _address(_name(host))
    return is_loopback(host) or (address is not None and not address.is_global)


def join(url: str, location: str, origin: Origin) -> str:
    """The absolute URL of what a registry names at ``url``. Raises NetworkError when it is no usable address."""
    try:
        target = urljoin(url, location)
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


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:  # 0x7f000001, 127.1 and 2130706433 are loopback too, to everything that calls inet_aton
            address = ipaddress.ip_address(socket.inet_aton(name))
        except (OSError, UnicodeError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, its causes, and the exceptions that urllib3 carries in ``args`` and ``reason``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
