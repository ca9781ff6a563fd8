# SPDX-License-Identifier: MIT
"""Where a registry's tokens are fetched, and who may be named there.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import NetworkError, Origin
from ..transport import addresses
from .credential import Credential

__all__ = ["Realm"]


@dataclass(frozen=True, slots=True)
class Realm:
    """A token service: its URL, and ``service``, which is what the registry is called there.

    ``asked_at``: the URL of the request that was answered with its name. ``remembered``: it was named in an earlier
    run, and not yet in this one; ``presumed``: nor has the registry let anybody in with a token of it.
    """

    url: str
    service: str
    asked_at: str
    remembered: bool = False
    presumed: bool = False

    @classmethod
    def checked(cls, named: str, service: str, asked_at: str, origin: Origin, *, remembered: bool = False) -> Realm:
        """As the registry has named it. It may name another host, but not a less safe place than itself.

        Raises ValueError, with the reason.
        """
        try:
            url = addresses.join(asked_at, named, origin)
        except NetworkError:
            raise ValueError("its token service has no usable address") from None
        own, parts = urlsplit(asked_at), urlsplit(url)
        if parts.scheme not in ("https", "http") or (parts.scheme == "http" and own.scheme == "https"):
            raise ValueError(f"its token service is not at an https address ({parts.scheme}://{parts.netloc})")
        if parts.scheme == "http" and parts.hostname != own.hostname:
            raise ValueError(f"its token service is at another host without TLS ({parts.netloc})")
        if addresses.is_private(parts.netloc) and not addresses.is_private(own.netloc):
            raise ValueError(f"its token service is at a private address ({parts.netloc})")
        return cls(url, service, asked_at, remembered, presumed=remembered)

    def keeps_out(self, credential: Credential, homes: Collection[str], *, acr: bool) -> str:
        """Why the credential is not shown there; empty where it may be. ``homes``: the registry's own hosts.

        An Azure container registry's (``acr``) credentials are for itself: no realm elsewhere is shown one of them.
        Nor is one that is only remembered.
        """
        parts, secret = urlsplit(self.url), credential.password or credential.refresh_token
        if credential.entra_token:
            kept, safe = "an Entra token", parts.scheme == "https"
        elif acr and secret:
            kept, safe = "a credential of an Azure container registry", True
        elif self.remembered and secret:
            kept, safe = "a credential", True
        else:
            return ""
        return "" if safe and parts.netloc in homes else f"{kept} is not sent to {parts.scheme}://{parts.netloc}"
