# SPDX-License-Identifier: MIT
"""Every engine error becomes an az error with a next step; a new one cannot be forgotten."""

from __future__ import annotations

import re

import pytest
from azure.cli.core import azclierror

from azext_acrimport import engine
from azext_acrimport.output import advice, catalogue, errors, problem, service_error
from azext_acrimport.output.service_error import understand
from tests.support.scripted import Script, answer, transport

KINDS = {kind for kind in vars(engine).values() if isinstance(kind, type) and issubclass(kind, engine.EngineError)}
SAID = {"origin": "target", "method": "PUT", "path": "/v2/team/app/manifests/1", "status": 400, "text": "words."}


def sample(kind: type[engine.EngineError], host: str = "myregistry.azurecr.io", **facts: object) -> engine.EngineError:
    """One of the kind, with plausible facts."""
    made = {
        engine.InvalidReference: lambda: kind("x", "the registry is missing"),
        engine.LayoutError: lambda: kind("app.tar", "it is empty"),
        engine.NetworkError: lambda: kind(host, "dns", origin="source"),
        engine.TlsError: lambda: kind(host, "self signed certificate", origin="source"),
        engine.AuthError: lambda: kind(host, "reason", origin="source"),
        engine.TagConflict: lambda: kind(f"{host}/app:1", "sha256:a", "sha256:b"),
        engine.TimedOut: lambda: kind(60.0),
        engine.NoMatchingPlatform: lambda: kind(f"{host}/app:1", "linux/s390x", ("linux/amd64", "linux/arm64")),
        engine.Blocked: lambda: kind(),
        engine.QuotaSpent: lambda: kind(host, 3, 1, 21_600),
        engine.Cancelled: lambda: kind(),
    }
    if kind in made:
        return made[kind]()
    if issubclass(kind, engine.RegistryError):
        return kind(host, **{**SAID, "mode": "az login identity", **facts})
    if issubclass(kind, engine.ContentError):
        return kind("blob", "a", "b", origin="source")
    return kind("message", origin="source")


@pytest.mark.parametrize("kind", sorted(KINDS - {engine.EngineError}, key=lambda kind: kind.__name__))
@pytest.mark.parametrize("host", ["myregistry.azurecr.io", "docker.io"])
@pytest.mark.parametrize("mode", ["anonymous", "user name and password", "az login identity"])
def test_error_is_mapped(kind, host, mode):
    """Directly, not through its parent; code, message and recommendation are for people."""
    assert kind in advice.ADVICE
    error = sample(kind, host, mode=mode)
    mapped = errors.to_azclierror(error)
    assert error.origin == "local" or error.origin in errors.to_json(error)["message"]
    assert isinstance(mapped, azclierror.AzCLIError)
    assert type(mapped) not in (azclierror.AzCLIError, azclierror.UserFault, azclierror.ClientError)
    assert mapped.error_msg.endswith("]")
    assert mapped.recommendations
    for text in (mapped.error_msg, *mapped.recommendations):
        assert "None" not in text and "  " not in text and ".." not in text.replace("...", "")


def test_only_missing_things_exit_with_3():
    """az's exit code for them; all else is 1."""
    missing = {kind for kind in KINDS - {engine.EngineError}
               if isinstance(errors.to_azclierror(sample(kind)), azclierror.ResourceNotFoundError)}  # fmt: skip
    assert missing == {engine.NotFound}


def test_json_of_an_error():
    """The same facts for scripts."""
    error = sample(engine.Denied, request_id="guid-1")
    assert errors.to_json(error) == {
        "code": "target-denied",
        "side": "target",
        "message": "myregistry.azurecr.io (target) denied push to repository team/app; signed in with az login "
        "identity. The registry's answer: words. Request id guid-1.",
        "recommendation": errors.to_azclierror(error).recommendations[0],
        "correlationId": "guid-1",
    }


def test_bugs_are_not_mapped():
    """What no table knows is shown as what it is."""

    class Unheard(engine.EngineError):
        pass

    with pytest.raises(Unheard):
        errors.to_azclierror(Unheard("x"))


BASIC = {"WWW-Authenticate": 'Basic realm="r.test"'}
PAGING = (
    b'{"errors": [{"code": "X", "message": "pagination offset too large for anonymous requests; '
    b'sign in to page further"}]}'
)


@pytest.mark.parametrize(
    ("ask", "error", "kind", "advice"),
    [
        (engine.list_repositories, answer(401, BASIC), engine.Unauthorized, "Name the repositories"),
        (engine.list_repositories, answer(400), engine.Rejected, "Name the repositories instead"),
        (
            lambda of: engine.list_tags(of, "app"),
            answer(400, {}, PAGING),
            engine.Rejected,
            "Sign in with --username and --password",
        ),
    ],
)  # fmt: skip
def test_refusal_says_what_to_do_instead(ask, error, kind, advice):
    """Of the catalog, which few may see; of Docker Hub's pages."""
    with pytest.raises(kind) as caught:
        script = Script([error])
        ask(engine.RegistryClient("r.test", "r.test", transport(script), lambda: engine.ANONYMOUS))
    assert errors.to_json(caught.value)["recommendation"].startswith(advice)


BEFORE = ("Run the same command again.", "Run the same command again: what was copied is skipped.")
ME = "the az login identity dev@contoso.com of tenant t"
MANAGED = "the az login identity systemAssignedIdentity of tenant t"
NO_ADDRESS = "client with IP 10.0.0.1 is not allowed access"
LINKED = "The client 'x' with object id '{0}' may not read the linked scope(s) '/subscriptions/s/registries/src'."
GUID = "12345678-90ab-cdef-1234-567890abcdef"


@pytest.mark.parametrize(
    ("error", "moved", "words"),
    [
        (sample(engine.Truncated), False, BEFORE[0]),
        (sample(engine.Truncated), True, BEFORE[1]),
        (engine.Denied("r.azurecr.io", origin="target", mode=ME), False, "--assignee dev@contoso.com --scope $(az acr"),
        (engine.Denied("r.azurecr.io", origin="target", mode=MANAGED),
                 False, "--assignee IDENTITY"),
        (engine.Unauthorized("registry.corp", origin="target", mode="anonymous"), False, "docker login registry.corp"),
        (engine.Unauthorized("registry.corp", origin="source", mode="anonymous"), False, "Pass --username"),
        (engine.Unauthorized("r.azurecr.io", origin="source", mode="anonymous"), False, "az login. Or pass --username"),
        (engine.RateLimited("docker.io", origin="source", mode="anonymous"), False, "1. Or sign in for a larger"),
        (engine.RateLimited("docker.io", origin="source", mode="user name"), False, "--jobs 1"),
        (engine.RateLimited("registry.corp", origin="source", mode="anonymous"), False, "--jobs 1"),
        (problem.not_azure("registry.corp"), False, "--engine embedded, and no --no-wait"),
        (understand(LINKED.format(GUID), arm_code="LinkedAuthorizationFailed"), False,
         f"--assignee {GUID} --scope $(az acr show"),
        (understand("The client 'x' with object id 'y' does not have authorization to perform action",
                    target="r.azurecr.io"), False,
         "--assignee IDENTITY --scope $(az acr show --name r --query id --output tsv)."),
        (understand(NO_ADDRESS, source="src.azurecr.io"), False, "--name src --allow"),
        (understand(NO_ADDRESS, source="ghcr.io"), False, "--name NAME --allow"),
    ],
)  # fmt: skip
def test_advice_is_filled_in(error, moved, words):
    """Who, where and what for, as far as it is known; nothing that has not happened."""
    recommendation = errors.to_azclierror(error, moved=moved).recommendations[0]
    assert words in recommendation
    assert moved or BEFORE[1] not in recommendation


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v2/", "refused the sign-in with the az login identity, and then anonymous access. ["),
        (
            "/v2/app/manifests/1",
            "refused the sign-in with the az login identity, and then anonymous access, for reposi",
        ),
    ],
)
def test_chain_of_sign_ins_is_a_sentence(path, words):
    """Also where it is about no repository."""
    tried = "the az login identity, then anonymous"
    assert (
        words in errors.to_azclierror(engine.Unauthorized("r.test", origin="source", mode=tried, path=path)).error_msg
    )
    denied = errors.to_azclierror(engine.Denied("r.test", origin="source", mode=tried, path="/v2/app/manifests/1"))
    assert "app; signed in with the az login identity, then without a sign-in. [" in denied.error_msg


@pytest.mark.parametrize(("path", "words"), [("/v2/a/b/manifests/1", "--source docker.io/a/b --dry-run"), ("/v2/", "")])
def test_batch_tells_how_to_see_the_tags(path, words):
    """Of the repository that is meant, whatever list or file named it; of what is no image, as ever."""
    missing = engine.NotFound("docker.io", origin="source", path=path)
    many, one = (errors.to_azclierror(missing, many=how).recommendations[0] for how in (True, False))
    assert many.endswith(words) and (many != one) is bool(words)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("1.0", "Check repository and tag, or name the image by its digest."),
        (
            "latest",
            "Check repository and tag, or name the image by its digest. "
            "An image without a tag in --source means the tag latest.",
        ),
        ("sha256:" + "a" * 64, "Check repository and digest."),
    ],
)
def test_advice_fits_what_was_asked_for(name, advice):
    """Who has named a tag is not told of the one that is meant without."""
    missing = engine.NotFound("docker.io", origin="source", path=f"/v2/a/b/manifests/{name}")
    assert errors.to_azclierror(missing).recommendations == [advice]


def test_batch_of_several_registries_is_not_told_to_pass_one_password():
    """It would be refused: a password is for one registry."""
    asked = engine.Unauthorized("r.test:5000", origin="source", mode="anonymous", path="/v2/a/manifests/1")
    said = errors.to_azclierror(asked, many=True).recommendations[0]
    assert said.startswith("Sign in with docker login r.test:5000, or with registries in a batch file")


def test_batch_is_told_of_its_own_options():
    """Whoever has found the conflict."""
    ours = engine.TagConflict("r.test/a:1", "sha256:1", "sha256:2")
    theirs = understand("Tag a:1 already exists in target registry.", arm_code="Conflict")
    assert ours.code == theirs.code
    for error in (ours, theirs):
        assert "--on-conflict overwrite" in errors.to_azclierror(error, many=True).recommendations[0]
        assert "--image" in errors.to_azclierror(error).recommendations[0]


def test_wrong_usage_is_told_whatever_was_typed(monkeypatch):
    """Bytes that are no text, and orders to a pipeline; lines stay lines."""
    told = []
    monkeypatch.setattr(azclierror.AzCLIError, "print_error", lambda error: told.append(error))
    with pytest.raises(SystemExit):
        errors.exit_for_usage("'\udcff##vso[x]' is none.\nSecond.", "Hint.")
    assert told[0].error_msg == "' # #vso[x]' is none.\nSecond."


def test_answer_that_is_not_true_is_told_without_its_status():
    """It said that all was well."""
    lost = engine.UploadLost("r.test", origin="target", text="the upload has no Location")
    assert lost.message == "r.test (target): the upload has no Location"
    assert errors.to_azclierror(lost).error_msg == "r.test (target): the upload has no Location. [target-upload-lost]"


def test_azure_is_quoted_only_where_it_has_spoken():
    """What is found out here is said as our own."""
    ours = service_error.ServiceError(catalogue.TIMED_OUT, "arm", "The last answer: InProgress.")
    assert errors.to_azclierror(ours).error_msg.endswith(
        " may still succeed. The last answer: InProgress. [arm-timeout]"
    )
    assert "Azure's answer: Odd." in errors.to_azclierror(understand("Odd")).error_msg


@pytest.mark.parametrize(
    ("mode", "signs_in"),
    [("anonymous", True), ("", True), ("user name and password of robot", False)],
)
def test_spent_quota_is_named(mode, signs_in):
    """As what it is: how long, until when, and how there is more."""
    limited = engine.RateLimited("registry-1.docker.io", origin="source", mode=mode, text="pull rate limit")
    limited.window = 21_600
    for error in (limited, engine.QuotaSpent("docker.io", 3, 1, 21_600)):
        error.mode = mode
        said = errors.to_azclierror(error)
        assert re.search("limit of pulls|allows 1 more pull in", said.error_msg)
        assert re.search(r"window is 6 h, so the limit ends at \d\d:\d\d at the latest", said.recommendations[0])
        assert ("--username NAME --password @FILE" in said.recommendations[0]) is signs_in


@pytest.mark.parametrize(("path", "is_there"), [("/nowhere/at-all", False), (__file__, True)])
def test_archive_that_is_not_there_is_not_listed(path, is_there):
    """Advice is for what there is."""
    said = errors.to_azclierror(engine.LayoutError(path, "it is not a tar archive")).recommendations[0]
    assert ("tar --list" in said) is is_there
