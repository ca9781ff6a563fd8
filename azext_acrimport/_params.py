# SPDX-License-Identifier: MIT
"""Options and their help. The scope ``acr import`` replaces core's, so core's options are declared here as well."""

from __future__ import annotations

import argparse
from typing import Any

from azure.cli.core.commands.parameters import (
    get_enum_type,
    get_resource_name_completion_list,
    resource_group_name_type,
)

from ._validators import ENGINES, REFERRERS


class Single(argparse.Action):
    """An option that is given once: argparse would take the last one, and say nothing."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """As argparse calls it."""
        if getattr(namespace, self.dest, None) is not None:
            raise argparse.ArgumentError(self, f"one image a call; it was given as '{values}' as well")
        setattr(namespace, self.dest, values)


def load_arguments(loader: Any) -> None:
    """Declare the options of ``az acr import`` and ``az acr import-wait``."""
    with loader.argument_context("acr import") as c:
        c.argument(
            "registry_name",
            options_list=["--name", "-n"],
            completer=get_resource_name_completion_list("Microsoft.ContainerRegistry/registries"),
            configured_default="acr",
            help="The target registry: name, login server or resource ID of an Azure container registry, or host and "
            "port of any other registry (localhost:5000). You can configure the default registry name using "
            "`az configure --defaults acr=<registry name>`.",
        )
        c.argument("resource_group_name", resource_group_name_type)
        c.argument(
            "source_image",
            options_list=["--source"],
            action=Single,
            help="The image to import: registry/repository:tag or registry/repository@sha256:digest. With --registry "
            "just repository:tag. Without a tag, latest is meant. Or files of this machine: oci:DIR[:TAG], "
            "oci-archive:FILE[:TAG], docker-archive:FILE[:REPOSITORY:TAG].",
        )
        c.argument(
            "source_registry",
            options_list=["--registry", "-r"],
            help="The source Azure container registry: name, login server or resource ID.",
        )
        c.argument(
            "username",
            options_list=["--username", "-u"],
            arg_group="Source credentials",
            help="The user name at the source registry. Default: the environment variable ACRIMPORT_SOURCE_USERNAME.",
        )
        c.argument(
            "password",
            options_list=["--password", "-p"],
            arg_group="Source credentials",
            help="The password at the source registry; @FILE reads it from a file, @- from standard input. Default: "
            "the environment variable ACRIMPORT_SOURCE_PASSWORD. Without a user name, an Entra access token for a "
            "source Azure container registry, for example of another tenant.",
        )
        c.argument(
            "target_tags",
            options_list=["--image", "-t"],
            action="append",
            arg_group="Target",
            help="The target: repository:tag. Repeat it for several tags. Default: repository and tag of the source; a "
            "registry in front must be the target's own, and is cut.",
        )
        c.argument(
            "repository",
            action="append",
            arg_group="Target",
            help="Import into this repository by digest only, without a tag. Repeat it for several repositories.",
        )
        c.argument(
            "force",
            action="store_true",
            arg_group="Target",
            help="Overwrite a target tag that points to another image.",
        )
        c.argument(
            "platform",
            action="append",
            arg_group="Content",
            help="Keep only this platform of a multi-platform image: os/architecture[/variant], for example "
            "linux/arm64; Windows with its version: windows/amd64:10.0.20348. Several with commas between. The index "
            "is written anew, so its digest changes; attestations follow what they attest. Default: all platforms.",
        )
        c.argument(
            "referrers",
            arg_type=get_enum_type(REFERRERS, default="all"),
            arg_group="Content",
            help="Whether signatures, SBOMs and attestations come along that refer to the image or to one of its "
            "platforms' images: OCI referrers, and cosign's tags sha256-….sig, .att and .sbom.",
        )
        c.argument(
            "hand_over",  # not "no_wait": under that name az prints no result
            options_list=["--no-wait"],
            action="store_true",
            help="Hand over to the import service and return its operation, for `az acr import-wait`.",
        )
        c.argument(
            "engine",
            arg_type=get_enum_type(ENGINES),
            help="Who copies: this machine (embedded) or the registry service (service). Default: the value of "
            "`az config set acrimport.engine=…`, else auto, which chooses.",
        )
        c.argument(
            "jobs",
            type=int,
            help="How many transfers run at once. Default: the value of `az config set acrimport.jobs=…`, else 12, and "
            "more where only questions are asked.",
        )
        c.argument(
            "timeout",
            type=float,
            help="Seconds after which the import is given up.",
        )
        c.argument(
            "dry_run",
            action="store_true",
            help="Show what would be copied, and the problems that can be seen now. Changes nothing.",
        )
    with loader.argument_context("acr import-wait") as c:
        c.argument("operation", help="What `az acr import --no-wait` returned as operation.")
        c.argument("timeout", type=float, help="Seconds after which no longer is waited; the service goes on.")
