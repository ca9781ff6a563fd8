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

from ._batch_validator import CONFLICTS
from ._validators import ENGINES, REFERRERS


class Single(argparse.Action):
    """An option that is given once: argparse would take the last one, and say nothing."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """As argparse calls it."""
        if getattr(namespace, self.dest, None) is not None:
            raise argparse.ArgumentError(self, f"one image a call; it was given as '{values}' as well")
        setattr(namespace, self.dest, values)


def load_arguments(loader: Any) -> None:
    """Declare the options of all commands."""
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
            "platforms' images: OCI referrers, and cosign's tags sha256-….sig, .att and .sbom. new: only with an image "
            "that is copied or whose tag moves; of one that is there already nothing is asked.",
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
    with loader.argument_context("acr import-batch") as c:
        _batch_arguments(c)
    with loader.argument_context("acr import-wait") as c:
        c.argument("operation", help="What `az acr import --no-wait` returned as operation.")
        c.argument("timeout", type=float, help="Seconds after which no longer is waited; the service goes on.")


def _batch_arguments(c: Any) -> None:
    """Those of ``az acr import-batch``."""
    c.argument(
        "registry_name",
        options_list=["--name", "-n"],
        completer=get_resource_name_completion_list("Microsoft.ContainerRegistry/registries"),
        configured_default="acr",
        help="The target registry, as for `az acr import`; it may also stand in the file, as target.",
    )
    c.argument("resource_group_name", resource_group_name_type)
    c.ignore("batch")
    c.argument(
        "source",
        action="append",
        arg_group="Sources",
        help="A repository (docker.io/library/alpine), an image by tag or digest, or a whole registry by its host "
        "(old.azurecr.io). Repeat it for several.",
    )
    c.argument(
        "file",
        options_list=["--file"],
        arg_group="Sources",
        help="A YAML file (docs/batch.md), a plain list with one source a line, and a target behind it where it is to "
        "have another name, or a file of image-syncer, skopeo sync or regsync. - is standard input.",
    )
    c.argument(
        "source_registry",
        options_list=["--registry", "-r"],
        arg_group="Sources",
        help="The source Azure container registry: name, login server or resource ID. --source is then repository or "
        "repository:tag; without it all of the registry is meant.",
    )
    c.argument(
        "tags",
        nargs="+",
        action="extend",
        arg_group="Selection",
        help="Which tags of a repository: exact (3.20), glob (3.*), regex (/^3\\.\\d+$/), or range of versions "
        "(>=3.18 <4, ^3.18, ~3.18); several are alternatives. Default: every tag.",
    )
    c.argument("exclude", nargs="+", action="extend", arg_group="Selection", help="The same, for tags to leave out.")
    c.argument(
        "newest",
        type=int,
        arg_group="Selection",
        help="Only so many tags of each repository: the newest by version, then by name.",
    )
    c.argument(
        "shard",
        arg_group="Selection",
        help="I/N: only the I-th of N equal parts, the same parts every time, for jobs beside one another. In Azure "
        "Pipelines: $(System.JobPositionInPhase)/$(System.TotalJobsInPhase).",
    )
    c.argument(
        "username",
        options_list=["--username", "-u"],
        arg_group="Source credentials",
        help="The user name at the source registry, if there is one. Default: the environment variable "
        "ACRIMPORT_SOURCE_USERNAME. For several registries: registries in the file.",
    )
    c.argument(
        "password",
        options_list=["--password", "-p"],
        arg_group="Source credentials",
        help="The password at the source registry; @FILE reads it from a file, @- from standard input. Default: the "
        "environment variable ACRIMPORT_SOURCE_PASSWORD.",
    )
    c.argument("prefix", arg_group="Target", help="Put in front of the source's repository, as it is written: mirror/")
    c.argument(
        "strip_prefix",
        arg_group="Target",
        help="Cut off the front of the source's repository first, at a / or as a whole: library",
    )
    c.argument(
        "on_conflict",
        arg_type=get_enum_type(CONFLICTS),
        arg_group="Target",
        help="What to do with a target tag that points to another image. Default: fail.",
    )
    c.argument("force", action="store_true", arg_group="Target", help="The same as --on-conflict overwrite.")
    c.argument(
        "platform",
        action="append",
        arg_group="Content",
        help="Keep only this platform of multi-platform images, as for `az acr import`.",
    )
    c.argument(
        "referrers",
        arg_type=get_enum_type(REFERRERS),
        arg_group="Content",
        help="Whether signatures, SBOMs and attestations come along. new: with every image that is copied or whose tag "
        "moves; of one that is there already nothing is asked. Default: what the file says, else new.",
    )
    c.argument(
        "engine",
        arg_type=get_enum_type(ENGINES),
        help="Who copies, as for `az acr import`: auto chooses for each image.",
    )
    c.argument("jobs", type=int, help="How many transfers run at once, for all images together.")
    c.argument("timeout", type=float, help="Seconds after which the batch is given up; what is complete stays.")
    c.argument("fail_fast", action="store_true", help="Stop at the first failure. Default: go on, and fail at the end.")
    c.argument("dry_run", action="store_true", help="Show what would be done to each image. Changes nothing.")
    c.argument("report", help="Also write the report to this file: .json, or .xml for JUnit.")
