# SPDX-License-Identifier: MIT
"""Options and their help. The scope ``acr import`` replaces core's, so core's options are declared here as well."""

from __future__ import annotations

import argparse
from typing import Any

from argcomplete.completers import FilesCompleter
from azure.cli.core.commands.parameters import (
    file_type,
    get_enum_type,
    get_generic_completion_list,
    get_resource_name_completion_list,
    resource_group_name_type,
)

from ._batch_validator import CONFLICTS
from ._validators import ENGINES, REFERRERS

SOURCE, TARGET, CONTENT, ENGINE, OUTPUT = "Source", "Target", "Content", "Engine", "Output"
# What most multi-platform images are made for; others may be typed.
PLATFORMS = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/ppc64le", "linux/s390x", "windows/amd64"]
REGISTRIES = "Microsoft.ContainerRegistry/registries"


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
        _import_arguments(c)
        _arguments_of_both(c)
    with loader.argument_context("acr import-batch") as c:
        _batch_arguments(c)
        _arguments_of_both(c)
    with loader.argument_context("acr import-wait") as c:
        c.argument("operation", help="The operation that `az acr import --no-wait` returned.")
        c.argument("timeout", type=float, help="Seconds after which this command stops waiting. The service goes on.")


def _arguments_of_both(c: Any) -> None:
    """Those that mean the same for one image and for many."""
    c.argument("resource_group_name", resource_group_name_type, arg_group=TARGET)
    c.argument(
        "source_registry",
        options_list=["--registry", "-r"],
        arg_group=SOURCE,
        completer=get_resource_name_completion_list(REGISTRIES),
        help="The source Azure container registry: name, login server or resource ID. --source then begins with the "
        "repository.",
    )
    c.argument(
        "username",
        options_list=["--username", "-u"],
        arg_group=SOURCE,
        help="User name at the source registry. Default: the variable ACRIMPORT_SOURCE_USERNAME.",
    )
    c.argument(
        "password",
        options_list=["--password", "-p"],
        arg_group=SOURCE,
        help="Password at the source registry. @FILE reads it from a file, @- from standard input. Default: the "
        "variable ACRIMPORT_SOURCE_PASSWORD. Without a user name: an Entra access token for an Azure container "
        "registry, for example of another tenant.",
    )
    c.argument(
        "platform",
        action="append",
        arg_group=CONTENT,
        completer=get_generic_completion_list(PLATFORMS),
        help="Keep only this platform of a multi-platform image: os/architecture[/variant], for example linux/arm64, "
        "or with a version of Windows: windows/amd64:10.0.20348. Repeat it, or put commas between several. The digest "
        "changes with that. Default: all platforms.",
    )
    c.argument(
        "engine",
        arg_type=get_enum_type(ENGINES),
        arg_group=ENGINE,
        help="Who copies: this machine (embedded), or the registry's own service (service). Default: acrimport.engine "
        "of `az config`, or else auto, which chooses for each image and says why.",
    )
    c.argument(
        "jobs",
        type=int,
        arg_group=ENGINE,
        help="How many transfers run at once. Default: acrimport.jobs of `az config`, or else 12.",
    )
    c.argument(
        "timeout",
        type=float,
        arg_group=ENGINE,
        help="Seconds after which the command gives up. What is complete by then stays.",
    )
    c.argument(
        "dry_run",
        action="store_true",
        arg_group=OUTPUT,
        help="Only say what would be done, and which problems can be seen now. Nothing is changed.",
    )


def _import_arguments(c: Any) -> None:
    """Those of ``az acr import``."""
    c.argument(
        "registry_name",
        options_list=["--name", "-n"],
        completer=get_resource_name_completion_list(REGISTRIES),
        configured_default="acr",
        help="The target registry: name, login server or resource ID of an Azure container registry, or host and "
        "port of any other registry, such as localhost:5000.",
    )
    c.argument(
        "source_image",
        options_list=["--source"],
        action=Single,
        help="The image to import: registry/repository:tag, or registry/repository@digest. Without a tag: latest.",
    )
    c.argument(
        "target_tags",
        options_list=["--image", "-t"],
        action="append",
        arg_group=TARGET,
        help="Its name in the target: repository:tag. Repeat it for several. Default: as in the source.",
    )
    c.argument(
        "repository",
        action="append",
        arg_group=TARGET,
        help="Import into this repository without a tag, by digest only. Repeat it for several.",
    )
    c.argument(
        "force",
        action="store_true",
        arg_group=TARGET,
        help="Move a tag of the target that names another image.",
    )
    c.argument(
        "referrers",
        arg_type=get_enum_type(REFERRERS, default="all"),
        arg_group=CONTENT,
        help="Whether signatures, SBOMs and attestations come along. new: only with an image that is copied, or whose "
        "tag moves.",
    )
    c.argument(
        "hand_over",  # not "no_wait": under that name az prints no result
        options_list=["--no-wait"],
        action="store_true",
        arg_group=ENGINE,
        help="Hand over to the registry's own service, and return its operation for `az acr import-wait`.",
    )


def _batch_arguments(c: Any) -> None:
    """Those of ``az acr import-batch``."""
    c.argument(
        "registry_name",
        options_list=["--name", "-n"],
        completer=get_resource_name_completion_list(REGISTRIES),
        configured_default="acr",
        help="The target registry, as for `az acr import`. It may also stand in the file, as target.",
    )
    c.ignore("batch")
    c.argument(
        "source",
        action="append",
        arg_group=SOURCE,
        help="A repository (docker.io/library/alpine), an image by tag or digest, or a whole registry by its host "
        "(old.azurecr.io). Repeat it for several.",
    )
    c.argument(
        "file",
        options_list=["--file"],
        type=file_type,
        completer=FilesCompleter(),
        arg_group=SOURCE,
        help="A YAML file, or a plain list: one source a line, followed by its name in the target if it is to have "
        "another one. Files of image-syncer, skopeo sync and regsync are read as well. - is standard input.",
    )
    c.argument(
        "tags",
        nargs="+",
        action="extend",
        arg_group=CONTENT,
        help="Which tags of a repository: exact (3.20), glob (3.*), regex (/^3\\.\\d+$/), or range of versions "
        "(>=3.18 <4, ^3.18, ~3.18). Several are alternatives. Default: every tag.",
    )
    c.argument("exclude", nargs="+", action="extend", arg_group=CONTENT, help="Tags to leave out, written as --tags.")
    c.argument(
        "newest",
        type=int,
        arg_group=CONTENT,
        help="Only this many tags of each repository: the newest by version, then by name.",
    )
    c.argument(
        "shard",
        arg_group=CONTENT,
        help="I/N: only the I-th of N equal parts, the same parts every time, for jobs side by side.",
    )
    c.argument(
        "referrers",
        arg_type=get_enum_type(REFERRERS),
        arg_group=CONTENT,
        help="Whether signatures, SBOMs and attestations come along. new: with every image that is copied, or whose "
        "tag moves. Default: what the file says, or else new.",
    )
    c.argument(
        "prefix",
        arg_group=TARGET,
        help="Put this in front of the source's repository: mirror/ makes mirror/team/app of team/app.",
    )
    c.argument(
        "strip_prefix",
        arg_group=TARGET,
        help="Cut this off the front of the source's repository first: team makes app of team/app. Other repositories "
        "stay as they are.",
    )
    c.argument(
        "on_conflict",
        arg_type=get_enum_type(CONFLICTS),
        arg_group=TARGET,
        help="What becomes of a tag of the target that names another image. Default: fail.",
    )
    c.argument("force", action="store_true", arg_group=TARGET, help="The same as --on-conflict overwrite.")
    c.argument(
        "fail_fast",
        action="store_true",
        arg_group=ENGINE,
        help="Stop at the first failure. Default: go on with the others, and fail at the end.",
    )
    c.argument(
        "report",
        type=file_type,
        completer=FilesCompleter(),
        arg_group=OUTPUT,
        help="Write the report to this file as well: .json, or .xml for JUnit.",
    )
