# SPDX-License-Identifier: MIT
"""Azure Resource Manager: the management SDK's client, and what is asked of it beside the SDK's methods."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..output import problem
from ..output.az_errors import asked_of_azure, no_answer


def management_client(cli_ctx: Any, subscription: str | None) -> Any:
    """The management SDK's client for container registries, signed in as az is."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    return get_mgmt_service_client(cli_ctx, ResourceType.MGMT_CONTAINERREGISTRY, subscription_id=subscription)


class Quiet:
    """Until when Azure Resource Manager wants no new work: it counts what all threads of one identity ask together."""

    def __init__(self) -> None:
        self._until = 0.0

    def ask_for(self, seconds: float) -> None:
        """From now on."""
        self._until = max(self._until, time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds; 0 when it may be asked."""
        return max(self._until - time.monotonic(), 0.0)


class Arm:
    """GET of any address of it, signed in as az is for this subscription; nothing is sent twice by itself.

    The SDK's own ``send_request`` is public in its newer versions only.
    """

    def __init__(self, cli_ctx: Any, subscription: str | None) -> None:
        self._cli_ctx = cli_ctx
        self._subscription = subscription
        self._client: Any = None

    @property
    def endpoint(self) -> str:
        """Its address, which is that of the cloud in use."""
        return str(self._cli_ctx.cloud.endpoints.resource_manager)

    def get(self, url: str) -> tuple[int, Any, str]:
        """Status, headers and body. Raises AzureError when there is no answer, and EngineError without a token.

        Raises ValueError for an address that is not its own: the token goes there.
        """
        from azure.core.rest import HttpRequest

        url = own_address(url, self.endpoint)
        with asked_of_azure():
            self._client = self._client or self._made()
            answer = self._client.send_request(HttpRequest("GET", url))
        return answer.status_code, answer.headers, answer.text()

    def _made(self) -> Any:
        from azure.cli.core._profile import Profile
        from azure.cli.core.util import get_az_user_agent, should_disable_connection_verify
        from azure.core.pipeline.policies import UserAgentPolicy
        from azure.core.pipeline.transport import RequestsTransport
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        endpoints = self._cli_ctx.cloud.endpoints
        credential, _, _ = Profile(cli_ctx=self._cli_ctx).get_login_credentials(subscription_id=self._subscription)
        scope = f"{endpoints.active_directory_resource_id}/.default"
        return ARMPipelineClient(
            endpoints.resource_manager,
            policies=[UserAgentPolicy(get_az_user_agent()), ARMChallengeAuthenticationPolicy(credential, scope)],
            transport=RequestsTransport(connection_verify=not should_disable_connection_verify()),
        )


def own_address(address: str, endpoint: str) -> str:
    """It, absolute, where it is that of Azure Resource Manager, ``endpoint``. Raises ValueError, with whose it is."""
    arm = urlsplit(endpoint)
    try:
        named = urlsplit(urljoin(endpoint, address))
        whose = named.scheme, named.hostname, named.port or 443
    except ValueError:  # brackets that hold no address, a port that is no number
        raise ValueError("what is no address") from None
    if whose != (arm.scheme, arm.hostname, arm.port or 443):
        raise ValueError(named.netloc)
    return named._replace(netloc=arm.netloc).geturl()


@contextmanager
def asking(what: str, side: str) -> Iterator[None]:
    """What ARM and the way there can do, as problems with ``what`` is asked for, in words."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        inner = getattr(error, "error", None)
        raise problem.arm_refused(
            what,
            side,
            status=error.status_code or 0,
            said=str(getattr(inner, "message", None) or error.message or ""),
            request_id=_request_id(error),
            is_page=is_page(error.response),
        ) from error
    except AzureError as error:
        raise no_answer("Azure Resource Manager", error) from error
    except UnicodeEncodeError as error:  # a part of a character was typed, which is in nothing's name
        raise problem.arm_refused(
            what, side, status=404, said="the name of its group is no text.", request_id=""
        ) from error


def is_page(answer: Any) -> bool:
    """Whether it is one for a browser, of a proxy or a portal: Azure Resource Manager speaks JSON."""
    return "html" in str(getattr(answer, "headers", {}).get("Content-Type", "")).lower()


def _request_id(error: Any) -> str:
    return str(getattr(error.response, "headers", {}).get("x-ms-correlation-request-id", ""))
