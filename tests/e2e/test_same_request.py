# SPDX-License-Identifier: MIT
"""What core's own command asks of the import service is what ``--engine service`` asks of it, word for word."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import images
from tests.sandbox.entra import access_token
from tests.sandbox.server import call
from tests.sandbox.world import OTHER_SUBSCRIPTION, READER
from tests.support.content import tag_digest
from tests.support.once import once

# all lines are run before the first test: eighty imports
pytestmark = pytest.mark.timeout(600)

SOURCE = "mysourceregistry.azurecr.io"
ID = "/providers/Microsoft.ContainerRegistry/registries/"
SOURCE_ID = f"/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/sandbox{ID}mysourceregistry"
OTHER_ID = f"/subscriptions/{OTHER_SUBSCRIPTION}/resourceGroups/elsewhere{ID}otherregistry"
CLOSED_ID = SOURCE_ID.replace("mysource", "closed")

# what lines without a target name; and the tags that the others make
NAMELESS = ("hello-world", "app/web")
TAGS = ("1", "2", "stable", "latest")

# A line, and whether it ends well with both of them; {} is a repository of its own.
LINES = [
    # public registries
    ("--source mcr.microsoft.com/hello-world:latest -t {}:1", True),
    ("--source mcr.microsoft.com/hello-world -t {}:1", True),
    ("--source mcr.microsoft.com/hello-world -t {}", True),
    ("--source mcr.microsoft.com/hello-world --force", True),
    ("--source mcr.microsoft.com/hello-world:latest -t {}:1 -t {}:2 -t {}-b:stable", True),
    ("--source mcr.microsoft.com/hello-world:latest --repository {}", True),
    ("--source mcr.microsoft.com/hello-world:latest --repository {} --repository {}-b -t {}:1", True),
    ("--source docker.io/library/web:1.0 -t {}:1", True),
    ("--source docker.io/library/web:1.0 -t {}:1 --force", True),
    ("--source docker.io/library/web:1.0 -t {}:1 -g sandbox", True),
    # an Azure container registry by login server, name, resource ID, digest
    (f"--source {SOURCE}/app/web:v1 -t {{}}:1", True),
    (f"--source {SOURCE.upper()}/app/web:v1 -t {{}}:1", True),
    (f"--source {SOURCE}/app/web@DIGEST -t {{}}:1", True),
    (f"--source {SOURCE}/app/web@DIGEST --repository {{}}", True),
    (f"--source {SOURCE}/app/web@DIGEST", True),
    ("--source app/web:v1 -r mysourceregistry -t {}:1", True),
    ("--source app/web -r mysourceregistry -t {}:1", False),
    (f"--source app/web:v1 -r {SOURCE} -t {{}}:1", True),
    (f"--source {SOURCE}/app/web:v1 -r mysourceregistry -t {{}}:1", True),
    (f"--source app/web:v1 -r {SOURCE_ID} -t {{}}:1", True),
    (f"--source app/web@DIGEST -r {OTHER_ID} -t {{}}:1", True),
    (f"--source app/web:v1 -r {CLOSED_ID} -t {{}}:1", False),
    ("--source mysourceregistry.eastus.geo.azurecr.io/app/web:v1 -t {}:1", True),
    ("--source otherregistry.azurecr.io/app/web:v1 -t {}:1", False),
    # credentials
    ("--source registry.contoso.com/team/app:1.0 -t {}:1 -u robot -p robot-secret", True),
    ("--source registry.contoso.com/team/app:1.0 -t {}:1 -u robot -p wrong", False),
    ("--source registry.contoso.com/team/app:1.0 -t {}:1", False),
    ("--source docker.io/sandboxuser/private:1.0 -t {}:1 -u sandboxuser -p hub-secret --force", True),
    (f"--source {SOURCE}/app/web:v1 -t {{}}:1 -u {READER.id} -p {READER.secret}", True),
    (f"--source {SOURCE}/app/web:v1 -t {{}}:1 -p TOKEN", True),
    # failures
    (f"--source {SOURCE}/no/such:v1 -t {{}}:1", False),
    ("--source mcr.microsoft.com/hello-world -t taken:1", False),
    ("--source mcr.microsoft.com/hello-world -t {}:1 -t taken:1", False),
    ("--source mcr.microsoft.com/hello-world -t taken:1 --no-wait", True),
    ("--source mcr.microsoft.com/hello-world -t {}:1 -t {}-b:1 -t {}:2", True),
    ("--source unknown.example.org/app:1 -t {}:1", False),
    ("-n nosuchregistry --source mcr.microsoft.com/hello-world", False),
    ("-n myregistry.azurecr.io --source mcr.microsoft.com/hello-world -t {}:1", True),
    ("--source app/web:v1 -r nosuchregistry -t {}:1", False),
    ("--source mcr.microsoft.com/hello-world --no-wait -t {}:1", True),
]


@pytest.fixture(scope="module")
def asked(sandbox, extensions, tmp_path_factory):
    """Every line run by core's az, by ours as the service, and by ours as it chooses itself.

    Of each for each line the result, the importImage requests, and what is at the target then.
    """
    folder = tmp_path_factory.getbasetemp()
    return once(folder, "same-request", lambda: all_lines(sandbox, extensions, tmp_path_factory))


def all_lines(sandbox, extensions, tmp_path_factory):
    """As ``asked``."""
    from tests.support.az import Az

    digest = tag_digest(sandbox.content(SOURCE), "app/web", "v1")
    content = sandbox.content("myregistry.azurecr.io")
    images.image("taken").push(content, "taken", "1")
    token = access_token(READER, "https://management.azure.com/")
    sandbox.world.service_pause = 0.05
    kinds = []
    for number, (extension, engine) in enumerate(((None, ()), (extensions, ("--engine", "service")), (extensions, ()))):
        az = Az(tmp_path_factory.mktemp(f"az{number}"), sandbox.environment(), extensions=extension)
        sandbox.sign_in(az.config)
        for name in NAMELESS:
            if there := tag_digest(content, name, "latest"):  # a registry deletes by digest only
                call(content, "DELETE", f"/v2/{name}/manifests/{there}", expect=202)
        answers = []
        with az.many() as run:
            for line, (text, _) in enumerate(LINES):
                repository = f"same/line-{line}-{number}"
                words = text.format(*[repository] * 3).replace("DIGEST", digest).replace("TOKEN", token).split()
                words += [] if "-n" in words else ["-n", "myregistry"]
                before = len(sandbox.world.imports)
                result = run("acr", "import", *words, *engine)
                posts = [(path.lower(), body) for path, body in sandbox.world.imports[before:]]
                answers.append((result, posts, held(content, repository, digest)))
        kinds.append(answers)
    sandbox.world.service_pause = 1
    return kinds


def held(content, repository: str, digest: str) -> dict[str, str | None]:
    """What the line's repositories hold, by tag; under "" the digest that lines with --repository want there."""
    names = {"": repository, "-b": f"{repository}-b"}
    tags = {f"{suffix}:{tag}": tag_digest(content, name, tag) for suffix, name in names.items() for tag in TAGS}
    return tags | {suffix: tag_digest(content, name, digest) for suffix, name in names.items()} | {
        name: tag_digest(content, name, "latest") for name in NAMELESS
    }  # fmt: skip


@pytest.mark.parametrize("line", range(len(LINES)), ids=[text for text, _ in LINES])
def test_same_request(asked, line):
    """Path and body; and the same end."""
    (core, core_posts, _), (ours, our_posts, _) = asked[0][line], asked[1][line]
    assert core_posts or not LINES[line][1]
    renamed = json.loads(json.dumps(core_posts).replace(f"same/line-{line}-0", f"same/line-{line}-1"))
    assert [list(post) for post in our_posts] == renamed
    assert (core.code == 0) == (ours.code == 0) == LINES[line][1], core.stderr + ours.stderr
    assert "Traceback" not in ours.stderr


@pytest.mark.parametrize("line", range(len(LINES)), ids=[text for text, _ in LINES])
def test_same_content_by_the_engine_that_is_chosen(asked, line):
    """Where core ends well, so does the command without --engine, with the same at the target."""
    (core, _, cores), (ours, _, our) = asked[0][line], asked[2][line]
    assert "Traceback" not in ours.stderr
    if "taken:1 --no-wait" in LINES[line][0]:  # core leaves it to the service to refuse, when nobody is looking
        assert ours.json["error"]["code"] == "target-tag-conflict"
    elif core.code == 0:
        assert ours.code == 0, ours.stderr
        assert "--no-wait" in LINES[line][0] or our == cores
    elif ours.code:
        assert ours.json["error"]["code"]
