# SPDX-License-Identifier: MIT
"""What Azure Resource Manager and its import service say, understood: one table, from which docs/errors.md is made too.

Their texts are English envelopes. Inside may be the answer that the source registry gave to the service ("Invalid
message Unauthorized …", then that registry's own JSON): then the source is to blame, whatever the envelope names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..engine import Cancelled, EngineError, foreign_text, redact_url

GUID = r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"
CORRELATION = re.compile(rf"Correlation ?ID:?\s*'?({GUID})'?\.?", re.IGNORECASE)
OPERATION = re.compile(r"Operation (registries-[0-9a-f-]+) failed\.?", re.IGNORECASE)
ENVELOPE = re.compile(r"Deployment failed\.|Resource /subscriptions/\S+|\bCode: \w+|Message:", re.IGNORECASE)
# Who asked, and, where there is one, the object id that a role assignment takes.
CLIENT = re.compile(r"client '([^']+)'(?: with object id '([^']+)')?", re.IGNORECASE)
# What it puts before the answer of the source: until 2024, and since.
RELAYED = re.compile(r"Invalid message|error occurred when getting", re.IGNORECASE)
# More of it is not read by anybody.
MAX_WORDS = 600
# What is relayed is at the front of it.
MAX_TEXT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """A failure of which we know what it is. ``side``: who is to blame; "named": the registry that the text names.

    ``advice`` may hold {name} (of the registry that is to blame), {repository}, {identity} (who asked), {operation}
    (where to ask for it). ``elsewhere``: the embedded engine does not have this trouble. ``missing``: something is not
    there (exit code 3).
    """

    slug: str
    side: str
    pattern: str
    meaning: str
    advice: str
    elsewhere: bool = False
    missing: bool = False


EMBEDDED = "Copy through this machine: --engine embedded."
AGAIN = "Run the same command again."
GRANT = (
    'az role assignment create --role "Container Registry Data Importer and Data Reader" --assignee {identity} '
    "--scope $(az acr show --name {name} --query id --output tsv)"
)
SHOW_TARGET = 'az acr show --name {name} --query "{{public:publicNetworkAccess,rules:networkRuleSet}}"'

THROTTLED = Known(
    "throttled",
    "arm",
    r"SubscriptionRequestsThrottled|\A(?:\(?TooManyRequests\b|429 )(?!.*(?:Invalid message|StatusCode))",
    "Azure Resource Manager limits requests. An import that has begun goes on.",
    "Run the same command again in some minutes.",
    elsewhere=True,
)
QUARANTINED = Known(
    "quarantined",
    "named",
    r"IMAGE_QUARANTINED",
    "The image is in quarantine, and you may not see it.",
    "Ask for its release, or for the role AcrQuarantineReader.",
)
CATALOGUE: tuple[Known, ...] = (
    Known(
        "tag-conflict",
        "target",
        r"already exists in target registry",
        "The tag exists in the target.",
        "Add --force to move the tag, or choose another one with --image.",
    ),
    Known(
        "role-missing",
        "source",
        r"linked scope|LinkedAuthorizationFailed",
        "You may import into the target, but hold no role on the source registry.",
        f"Grant a role on the source: {GRANT}. Or give a user name and password of the source.",
        elsewhere=True,
    ),
    Known(
        "role-missing",
        "target",
        r"AuthorizationFailed|does not have authorization to perform action",
        "You lack the right to have the service import into the target (registries/importImage/action).",
        f"Grant a role that has it: {GRANT}. The embedded engine needs the right to push instead: --engine embedded.",
        elsewhere=True,
    ),
    Known(
        "registry-not-found",
        "target",
        r"could not be found in subscription|ResourceNotFound|SubscriptionNotFound|ResourceGroupNotFound",
        "Azure Resource Manager shows no such registry: wrong subscription, no right to read it, or it is not there.",
        "See which registries there are: az acr list --output table. With the right to push alone, give the login "
        "server and --engine embedded.",
        elsewhere=True,
        missing=True,
    ),
    Known(
        "registry-uri",
        "source",
        r"parameters\.Source\.RegistryUri",
        "The service does not take this host: a port is not possible there.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "missing-target",
        "arm",
        r"Missing property parameters\.TargetTags",
        "The request named no target.",
        "Add --image repository:tag, or --repository repository.",
    ),
    QUARANTINED,
    Known(
        "cache-rule",
        "arm",
        r"cache rule|Unsupported upstream",
        "A cache rule of the registry stands in the way; imports are not limited to what cache rules can reach.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "storage",
        "arm",
        r"Failed to access storage",
        "A storage account in between does not let the service in; imports need none, transfers do.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "key-lost",
        "named",
        r"Key Encryption Key|CMK_ERROR",
        "The registry is encrypted with a key that it can no longer read.",
        "Its owner has to give it access to the key again: az acr encryption show --name {name}",
    ),
    Known(
        "firewall",
        "source",
        r"is not allowed access|aka\.ms/acr/firewall|Reason: Forbidden.*\"?DENIED",
        "The source registry does not let the service's address in.",
        "Name the source by its resource ID, with --registry, and let trusted services in: az acr update --name {name} "
        "--allow-trusted-services true. Or copy from a network that it lets in: --engine embedded.",
        elsewhere=True,
    ),
    THROTTLED,
    Known(
        "rate-limited",
        "source",
        r"toomanyrequests|Too Many Requests|pull rate limit|HAP429|\b429\b",
        "The source limits requests, and the service shares its addresses with everybody.",
        "Sign in at the source with --username and --password, or copy through this machine, which has a limit of its "
        "own: --engine embedded.",
        elsewhere=True,
    ),
    Known(
        "no-range",
        "source",
        r"RFC ?7233|Unexpected response status code|Unexpected length of body",
        "The source does not serve parts of a blob (HTTP Range), which the service needs.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "no-digest",
        "source",
        r"No value specified for Docker-Content-Digest|Unable to find manifest digest",
        "The source does not state the digest of a manifest, which the service needs.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "copy-failed",
        "arm",
        r"Error copying blobs",
        "The service could not copy, and does not say why: often a right that is not in effect yet, or the network.",
        f"{AGAIN} If it fails again, copy through this machine, which tells the reason: --engine embedded.",
        elsewhere=True,
    ),
    Known(
        "too-many-manifests",
        "arm",
        r"more than \d+ manifests|manifests? (?:count|limit)",
        "The service takes at most 50 manifests in one image.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "export-disabled",
        "source",
        r"[Ee]xports? of \S+ (?:is|are) disabled|exportPolicy",
        "The owner of the source registry does not let its images out.",
        "Its owner can change that: az acr update --name {name} --allow-exports true",
    ),
    Known(
        "disallowed",
        "target",
        r"operation is disallowed|REGISTRY_DISALLOWED_OPERATION",
        "The target's tag, repository or registry is locked or read-only.",
        "See what is locked: az acr repository show --name {name} --repository {repository} "
        "--query changeableAttributes",
    ),
    Known(
        "denied",
        "named",
        r"Access to (\S+) denied",
        "The registry that the answer names does not let the service in: network rules, or a missing right.",
        f"See its rules: {SHOW_TARGET}. Or copy through this machine: --engine embedded.",
        elsewhere=True,
    ),
    Known(
        "not-found",
        "source",
        r"MANIFEST_UNKNOWN|NAME_UNKNOWN|Invalid message NotFound|StatusCode: 404",
        "The image is not in the source.",
        "Check repository and tag, or name the image by its digest. "
        "An image without a tag in --source means the tag latest.",
        missing=True,
    ),
    Known(
        "unauthorized",
        "source",
        r"Invalid message Unauthorized|(?-i:\bUNAUTHORIZED\b)|insufficient_scope|StatusCode: 401",
        "The source did not accept the sign-in, or asks for one. Many also answer so when there is no such repository.",
        "Check --username and --password, and the repository's name.",
        elsewhere=True,
    ),
    Known(
        "denied",
        "source",
        r"Invalid message Forbidden|(?-i:\bDENIED\b)|StatusCode: 403",
        "The source knows who asked, and does not let them pull.",
        "Grant the right to pull, or give --username and --password of somebody who has it.",
        elsewhere=True,
    ),
    Known(
        "server-error",
        "source",
        r"StatusCode: 5\d\d|Invalid message (?:InternalServerError|BadGateway|ServiceUnavailable|GatewayTimeout)",
        "The source is in trouble itself.",
        f"{AGAIN} Or copy through this machine, which is more patient: --engine embedded.",
        elsewhere=True,
    ),
    Known(
        "unreachable",
        "source",
        r"can ?not be reached|No such host|Name or service not known|timed out",
        "The service cannot reach the source. It reaches public registries only.",
        EMBEDDED,
        elsewhere=True,
    ),
    Known(
        "busy",
        "arm",
        r"\b(?:ServiceUnavailable|InternalServerError|GatewayTimeout|Deployment failed)\b",
        "The service itself is in trouble.",
        f"{AGAIN} If it fails again, open a support request with the ids.",
        elsewhere=True,
    ),
)
TIMED_OUT = Known(
    "timeout",
    "arm",
    r"(?!)",
    "The service was not done in the time given. It goes on, and may still succeed.",
    "Wait for it: az acr import-wait --operation {operation}. Or copy through this machine: --engine embedded.",
    elsewhere=True,
)
UNREACHABLE = Known(
    "unreachable",
    "arm",
    r"(?!)",
    "Azure Resource Manager does not answer. An import that has begun goes on.",
    f"Check the network, VPN and proxy (HTTPS_PROXY, NO_PROXY). {AGAIN}",
    elsewhere=True,
)
TAG_MOVED = Known(
    "incomplete",
    "target",
    r"(?!)",
    "The target does not have the digest that the source had when the import began.",
    f"{AGAIN} To import exactly one image, name it by its digest: --source REPOSITORY@DIGEST.",
)
UNKNOWN = Known(
    "unknown", "arm", r"(?!)",
    "The service failed, and its answer is not known to acrimport.",
    "Copy through this machine: --engine embedded. If it fails again, open a support request with the ids.",
)  # fmt: skip

# Not found in texts: what this program sees for itself.
OWN = (TIMED_OUT, UNREACHABLE, TAG_MOVED, UNKNOWN)


class ServiceGoesOn(Cancelled):
    """Ctrl-C while the service works. ``operation``: where to ask how it is getting on."""

    verbatim = frozenset({"operation"})

    def __init__(self, operation: str) -> None:
        super().__init__("Interrupted here; the import service goes on, and may still succeed.")
        self.operation = operation


class ServiceError(EngineError):
    """A failure of Azure's side. ``words``: what it said, without its envelope; ids as they stood in it. Where it said
    nothing that is worth ``quoted``, they are ours, as sentences.

    ``registry``: the login server that is to blame; the target's where none is. ``sure``: "confirmed" or "likely", when
    the source was asked as well.
    """

    verbatim = frozenset({"operation"})

    def __init__(
        self,
        known: Known,
        side: str,
        words: str,
        *,
        arm_code: str = "",
        request_id: str = "",
        operation: str = "",
        registry: str = "",
        quoted: bool = False,
    ) -> None:
        super().__init__(f"{known.meaning} {words}".strip(), subject=registry)
        self.origin = side  # type: ignore[assignment]  # the engine has no side called arm
        self.known = known
        self.words = words
        self.arm_code = arm_code
        self.request_id = request_id
        self.operation = operation
        self.registry = registry
        self.quoted = quoted
        self.sure = ""

    @property
    def code(self) -> str:
        """As for every error: side and kind."""
        return f"{self.origin}-{self.known.slug}"


def understand(
    text: str, *, arm_code: str = "", source: str = "", target: str = "", request_id: str = ""
) -> ServiceError:
    """The error behind a text of the service. ``source`` and ``target``: login servers, to tell which side it names."""
    text = text[:MAX_TEXT]  # before any pattern runs over it
    whole = f"{arm_code} {text}"
    correlation, operation = CORRELATION.search(text), OPERATION.search(text)
    known = next((row for row in CATALOGUE if re.search(row.pattern, whole, re.IGNORECASE | re.DOTALL)), UNKNOWN)
    side = _side(known, whole, source, target)
    return ServiceError(
        known,
        side,
        _words(text),
        arm_code=arm_code,
        request_id=correlation[1] if correlation else request_id,
        operation=operation[1] if operation else "",
        registry=source if side == "source" else target,
        quoted=True,
    )


def _side(known: Known, text: str, source: str, target: str) -> str:
    if known.side != "named":
        return known.side
    if RELAYED.search(text):
        return "source"
    named = re.search(known.pattern, text, re.IGNORECASE)
    host = (named[1] if named and named.re.groups else "").lower().strip("'\".")
    return "source" if host and host == source and host != target else "target"


def _words(text: str) -> str:
    """What is left without the envelope; of a registry's JSON its codes and messages."""
    head, brace, rest = text.partition('{"errors"')
    plain = re.sub(r"https?://\S+", lambda match: redact_url(match[0]), head)
    for pattern in (CORRELATION, OPERATION, ENVELOPE):
        plain = pattern.sub(" ", plain)
    said = " ".join(plain.split()).strip(" .:")
    words = filter(None, (said, _registry_words(brace + rest) if brace else ""))
    return foreign_text(". ".join(words), MAX_WORDS)


def _registry_words(text: str) -> str:
    try:
        errors: Any = json.JSONDecoder().raw_decode(text)[0]["errors"]
        said = [(entry.get("code", ""), entry.get("message", "")) for entry in errors]
        return "; ".join(" ".join(part for part in parts if isinstance(part, str)).strip() for parts in said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return " ".join(text.split())
