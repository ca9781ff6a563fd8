# SPDX-License-Identifier: MIT
"""What may go wrong below HTTP: from whatever was raised to the NetworkError that says what it means."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from ..errors import NetworkError, Origin, TlsError

__all__ = ["network_error"]

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
    # of the registry the address has been read before
    (
        "proxy",
        r"LocationParseError|ProxySchemeUnknown|InvalidProxyURL|SOCKS version",
        "the proxy has no usable address",
    ),
    ("proxy", r"SOCKS support", "it is behind a SOCKS proxy, for which this Python lacks PySocks"),
    ("dns", r"gaierror|NameResolutionError|Name or service not known|getaddrinfo", "its name does not resolve"),
    ("refused", r"ConnectionRefusedError|Connection refused|actively refused", "nothing listens there"),
    ("timeout", r"ConnectTimeout|ReadTimeout|TimeoutError|timed out", "no answer came in time"),
    (
        "reset",
        r"ConnectionReset|BrokenPipe|RemoteDisconnected|IncompleteRead|ProtocolError|aborted",
        "the connection was cut",
    ),
)


def network_error(error: BaseException, host: str, origin: Origin) -> NetworkError:
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
