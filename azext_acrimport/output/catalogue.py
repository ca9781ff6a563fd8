# SPDX-License-Identifier: MIT
"""What Azure Resource Manager and its import service say, and what it means: docs/errors.md is made from it, too."""

from __future__ import annotations

from dataclasses import dataclass


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
