# SPDX-License-Identifier: MIT
"""az acr import-batch with the real az: what is selected, what moves and what does not, what is said of each."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import accumulate

import pytest

from tests.sandbox import images
from tests.sandbox.server import Response
from tests.sandbox.world import ServiceFault
from tests.support.content import everything, referrers, tag_digest, tree

TARGET = "myregistry.azurecr.io"
SOURCE = "mysourceregistry.azurecr.io"
MCR = "mcr.microsoft.com"
HUB = "docker.io"
BATCH = ("acr", "import-batch", "--name", "myregistry")


@pytest.fixture
def hub(sandbox):
    """Docker Hub with nothing pulled, and a limit that nobody meets."""
    sandbox.hub.pulls, sandbox.hub.limit = 0, 100_000
    yield sandbox.content(HUB)
    sandbox.hub.pulls, sandbox.hub.limit = 0, 100


def push(content, repository: str, *tags: str, shared: bytes = b"") -> None:
    """A small image for each tag."""
    for tag in tags:
        images.image(f"{repository}:{tag}", shared=[shared] if shared else ()).push(content, repository, tag)


def states(result) -> list[tuple[str, str]]:
    """Target and status of each item."""
    return [(", ".join(item["targets"]), item["status"]) for item in result.json["items"]]


@pytest.mark.timeout(400)  # a machine that does much else takes minutes for a thousand images
def test_five_hundred_tags_move_each_blob_once(sandbox, az, hub):
    """Read once, sent once, mounted everywhere else; again the source is asked for each tag, the target for lists."""
    base = images.layer("base of all", 30_000)
    for number in range(50):
        layer = images.layer(f"layer {number}", 5000)
        for tag in range(10):
            images.image(f"{number}-{tag}", (300,), shared=[base, layer]).push(hub, f"five/r{number}", f"1.{tag}")
    listing = "".join(f"docker.io/five/r{number}\n" for number in range(50))
    mark = sandbox.log.mark()
    result = az(*BATCH, "--file", "-", "--tags", "^1", stdin=listing)
    assert result.code == 0, result.stderr
    report = result.json
    assert (report["summary"]["items"], report["summary"]["copied"]) == (500, 500)
    assert [item["targets"] for item in report["items"][:2]] == [["five/r0:1.0"], ["five/r0:1.1"]]
    read = Counter(entry["path"] for entry in sandbox.log.find(since=mark, host=sandbox.hub.BLOBS, status=200))
    assert set(read.values()) == {1}
    assert len(read) == 1 + 50 + 2 * 500
    sent = sandbox.log.find(since=mark, host=TARGET, method="PUT", path="/v2/five/.*/blobs/uploads/", status=201)
    assert len(sent) == len(read)
    assert sandbox.hub.pulls == 500
    content = sandbox.content(TARGET)
    assert all(tree(content, f"five/r{n}", f"1.{n % 10}") == tree(hub, f"five/r{n}", f"1.{n % 10}") for n in range(50))

    hidden = sandbox.world.registries["myregistry"].attributes["five/r0:1.3"] = {"listEnabled": False}
    mark = sandbox.log.mark()
    again = az(*BATCH, "--file", "-", "--tags", "^1", stdin=listing)
    hidden.clear()
    assert again.json["summary"]["unchanged"] == 500
    asked = sandbox.log.find(since=mark, path="/v2/five/.*/manifests/", status=200)
    assert Counter((entry["host"], entry["method"]) for entry in asked) == {
        (TARGET, "HEAD"): 50 + 1,
        (sandbox.hub.REGISTRY, "HEAD"): 500,
    }
    assert len(sandbox.log.find(since=mark, host=TARGET, path="/acr/v1/five/.*/_tags", status=200)) == 50
    assert sandbox.hub.pulls == 500
    assert not sandbox.log.find(since=mark, host=TARGET, method="P.*", path="/v2/")


@pytest.mark.parametrize(
    "answer",
    [
        Response(500),
        Response(403),
        Response(404, {}, b'{"errors":[{"code":"TAG_UNKNOWN"}]}'),
        Response(429, {"Retry-After": "0"}),
        Response(200, {"Content-Type": "text/html"}, b"<html>sign in</html>"),
        Response(404, {}, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'),
    ],
    ids=["error", "refused", "unknown", "throttled", "of a proxy", "a lie"],
)
def test_list_of_tags_that_is_of_no_use(sandbox, az, answer):
    """Each tag is asked for by itself; where the list denies the repository, when it is to be written. Nothing is."""
    tags = [f"1.{number}" for number in range(12)]
    for host in (MCR, TARGET):
        push(sandbox.content(host), "listed/app", *tags)
    sandbox.faults.add(host=TARGET, path="/acr/v1/listed/app/_tags", times=999, answer=answer)
    mark = sandbox.log.mark()
    result = az(*BATCH, "--source", f"{MCR}/listed/app")
    assert result.code == 0, result.stderr
    lied = b"NAME_UNKNOWN" in answer.body
    assert Counter(status for _, status in states(result)) == (
        {"unchanged": 1, "copied": 11} if lied else {"unchanged": 12}
    )
    asked = sandbox.log.find(since=mark, host=TARGET, path="/v2/listed/app/manifests/1", status=200)
    assert [entry["method"] for entry in asked] == ["HEAD"] * 12


def test_what_fails_leaves_all_others_done(sandbox, az, tmp_path):
    """A missing tag, a denied repository, a damaged blob, a conflict, throttled to the end: with code, side, advice."""
    source, target = sandbox.content(MCR), sandbox.content(TARGET)
    push(source, "fails/good", "1", "2")
    push(source, "fails/conflict", "1")
    bad = images.image("fails damaged").push(source, "fails/damaged", "1")
    images.image("fails other").push(target, "fails/conflict", "1")
    before = tag_digest(target, "fails/conflict", "1")
    blob = next(iter(bad.blobs))
    sandbox.faults.add(
        host=".*data.mcr.*", path=".*", times=999, damage=lambda b: b"x" * len(b) if b == bad.blobs[blob] else b
    )
    push(source, "fails/throttled", "1")
    quiet = Response(429, {"Retry-After": "0"})
    sandbox.faults.add(host=MCR, path="/v2/fails/throttled/manifests/.*", times=999, answer=quiet)
    listing = tmp_path / "list.txt"
    listing.write_text(
        "# what is wanted\nmcr.microsoft.com/fails/good:1\nmcr.microsoft.com/fails/good:gone\n"
        "mcr.microsoft.com/fails/conflict:1\nmcr.microsoft.com/fails/damaged:1\nregistry.contoso.com/team/app:1.0\n"
        "mcr.microsoft.com/fails/throttled:1\nmcr.microsoft.com/fails/good:2 fails/renamed\n"
    )
    report = tmp_path / "report.xml"
    result = az(*BATCH, "--file", str(listing), "--report", str(report))
    assert result.code == 1
    assert states(result) == [
        ("fails/good:1", "copied"),
        ("fails/good:gone", "failed"),
        ("fails/conflict:1", "failed"),
        ("fails/damaged:1", "failed"),
        ("team/app:1.0", "failed"),
        ("fails/throttled:1", "failed"),
        ("fails/renamed:2", "copied"),
    ]
    found = [item["error"] and (item["error"]["code"], item["error"]["side"]) for item in result.json["items"]]
    assert found == [
        None,
        ("source-not-found", "source"),
        ("target-tag-conflict", "target"),
        ("source-digest-mismatch", "source"),
        ("source-unauthorized", "source"),
        ("source-rate-limited", "source"),
        None,
    ]
    assert all(item["error"]["recommendation"] for item in result.json["items"] if item["error"])
    conflict = result.json["items"][2]
    assert "--on-conflict overwrite" in conflict["error"]["recommendation"]  # not --image, which a batch has not
    assert conflict["changes"] == [{"target": "fails/conflict:1", "action": "none", "before": before}]
    assert tag_digest(target, "fails/conflict", "1") == before
    assert result.json["summary"] | {"seconds": 0, "bytes": 0} == {
        "items": 7, "copied": 2, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 5, "blocked": 0, "cancelled": 0,
        "planned": 0, "bytes": 0, "seconds": 0, "shard": None, "hub": None,
    }  # fmt: skip
    suite = ET.parse(report).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("7", "5")
    assert "[target-tag-conflict]" in result.stderr and "7 images: 2 copied, 5 failed" in result.stderr
    assert "Traceback" not in result.stderr

    sandbox.faults.clear()
    skipped = az(*BATCH, "--file", str(listing), "--on-conflict", "skip")
    assert ("fails/conflict:1", "skipped") in states(skipped)
    moved = az(*BATCH, "--source", f"{MCR}/fails/conflict", "--force")
    assert (moved.code, states(moved)) == (0, [("fails/conflict:1", "updated")])
    assert moved.json["items"][0]["changes"] == [{"target": "fails/conflict:1", "action": "move", "before": before}]


def test_moving_a_registry_brings_everything_with_its_signatures(sandbox, az, signed_in):
    """All repositories and tags; the same command again finds nothing to do."""
    source, target = sandbox.content("otherregistry.azurecr.io"), sandbox.content("adminregistry.azurecr.io")
    signed = images.image("move signed").push(source, "move/signed", "1", "2")
    images.artifact("signature", subject=signed.descriptor()).push(source, "move/signed")
    tag, signature = images.cosign(signed, ".sig", b"payload")
    signature.push(source, "move/signed", tag)
    push(source, "move/deep/er", "a", "b")
    words = (
        "acr",
        "import-batch",
        "--name",
        "adminregistry",
        "--source",
        "otherregistry.azurecr.io",
        "--referrers",
        "all",
    )
    result = az(*words)
    assert result.code == 0, result.stderr
    assert {("move/signed:1", "copied"), ("move/signed:2", "copied"), ("move/deep/er:b", "copied")} <= set(
        states(result)
    )
    assert not any("sha256-" in target for target, _ in states(result))
    for repository, name in (("move/signed", "1"), ("move/signed", "2"), ("move/deep/er", "a")):
        assert everything(target, repository, name) == everything(source, repository, name)
    assert len(referrers(target, "move/signed", signed.digest)) == 1
    again = az(*words)
    assert (again.code, {status for _, status in states(again)}) == (0, {"unchanged"})
    table = az(*words, "--output", "table").stdout
    assert max(map(len, table.splitlines())) <= 100
    assert len(table.splitlines()) == 2 + len(again.json["items"])


def test_batch_file_says_where_and_as_whom(sandbox, az, tmp_path):
    """Target, names, patterns and credentials by reference; of the secret nothing is seen."""
    push(sandbox.content("registry.contoso.com"), "file/app", "1.0", "1.1", "2.0", "2.1-rc1", "latest")
    push(sandbox.content(SOURCE), "file/other", "x")
    (tmp_path / "secret.txt").write_text("robot-secret\n")
    batch = tmp_path / "batch.yaml"
    batch.write_text(
        """
version: 1
target: myregistry
imports:
  - {source: registry.contoso.com/file/app, tags: [">=1.1", latest], exclude: ["2.0"], target: base/app}
  - {source: mysourceregistry.azurecr.io/file/other, target: "base/other:y"}
registries:
  registry.contoso.com: {username: robot, passwordFile: secret.txt}
""".replace('target: "base/other:y"', 'tags: [x], target: "base/other:y"')
    )
    result = az("acr", "import-batch", "--file", str(batch), "--debug")
    assert result.code == 0, result.stderr
    assert states(result) == [("base/app:1.1", "copied"), ("base/app:latest", "copied"), ("base/other:y", "copied")]
    assert "robot-secret" not in result.stderr + result.stdout


def test_wrong_password_of_a_batch_file_is_mended_there(az, tmp_path):
    """No option that the line does not have is named."""
    (tmp_path / "secret.txt").write_text("canary-wrong")
    batch = tmp_path / "acrimport.yaml"
    batch.write_text(
        "version: 1\ntarget: myregistry\nimports:\n  - source: registry.contoso.com/team/app:1.0\n"
        "registries:\n  registry.contoso.com: {username: robot, passwordFile: secret.txt}\n"
    )
    result = az("acr", "import-batch", "--file", str(batch))
    assert result.code == 1
    assert "refused the sign-in with user name and password of robot from the batch file" in result.stderr
    assert "Check what registries in the batch file gives for registry.contoso.com" in result.stderr
    assert "--username" not in result.stderr and "canary-wrong" not in result.stderr + result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--file", "-"), "standard input:4: imports[0].newest: expected a whole number"),
        (("--source", "nginx"), "for Docker Hub write docker.io/nginx"),
        (("--source", f"{MCR}/a", "--tags", "a b"), "is neither a tag, a glob"),
        (("--source", f"{MCR}/a", "--shard", "3/2"), "is not I/N"),
        (("--source", f"{MCR}/a", "--report", "report.txt"), "ends neither in .json nor in .xml"),
        (("--source", f"{MCR}/a", "--report", "/nowhere/report.json"), "cannot be written"),
        (("--source", f"{MCR}/a", "--source", f"{SOURCE}/b", "-u", "u", "-p", "p"), "are for one registry"),
        (("--source", f"{MCR}/a", "--force", "--on-conflict", "skip"), "Leave one of them out"),
        (("--file", "missing.txt"), "cannot be read"),
        ((), "There is nothing to import"),
    ],
)  # fmt: skip
def test_wrong_usage_is_told_before_anything_is_asked(sandbox, az, words, said):
    """Exit code 2, nothing on standard output, no request."""
    mark = sandbox.log.mark()
    broken = "version: 1\nimports:\n  - source: docker.io/library/alpine\n    newest: x\n    password: hunter2\n"
    result = az(*BATCH, *words, stdin=broken)
    assert (result.code, result.stdout) == (2, "")
    assert said in result.stderr and "hunter2" not in result.stderr
    assert not sandbox.log.find(since=mark)


def test_two_sources_for_one_target_are_refused_before_anything_moves(sandbox, az):
    """Also when only the listing tells."""
    for repository in ("same/a/app", "same/b/app"):
        push(sandbox.content(MCR), repository, "1", "2")
    mark = sandbox.log.mark()
    listing = "mcr.microsoft.com/same/a/app same/app\nmcr.microsoft.com/same/b/app same/app\n"
    result = az(*BATCH, "--file", "-", stdin=listing)
    assert (result.code, result.stdout) == (2, "")
    assert "would both become same/app:1" in result.stderr and "would both become same/app:2" in result.stderr
    assert not sandbox.log.find(since=mark, host=TARGET)


def test_dry_run_says_what_would_fail(az):
    """Not what has, and that the same again would mend."""
    names = ("mcr.microsoft.com/hello-world:latest", "mcr.microsoft.com/hello-world:nowhere")
    result = az(*BATCH, "--source", names[0], "--source", names[1], "--dry-run")
    assert result.code == 1
    assert "1 of 2 images would not be imported. [batch-incomplete]\nThe result says why, and" in result.stderr


def test_dry_run_spends_no_pull_and_says_what_is_left(sandbox, az, hub):
    """It knows digests and tags, and what Docker Hub still allows."""
    push(hub, "quota/dry", "1", "2")
    sandbox.hub.limit = 50
    result = az(*BATCH, "--source", "docker.io/quota/dry", "--dry-run")
    assert (result.code, sandbox.hub.pulls) == (0, 0)
    assert states(result) == [("quota/dry:1", "planned"), ("quota/dry:2", "planned")]
    assert result.json["summary"]["hub"] == {"needed": 2, "left": 50, "window": 21600}
    item = result.json["items"][0]
    assert item["digest"] == tag_digest(hub, "quota/dry", "1")
    assert (item["blobs"], item["changes"][0]["action"]) == (None, "create")
    assert "2 pulls needed, 50 pulls left in its window of 6 h" in result.stderr
    assert tag_digest(sandbox.content(TARGET), "quota/dry", "1") is None
    single = az("acr", "import", "--name", "myregistry", "--source", "docker.io/quota/dry:1", "--dry-run")
    assert "at least 1 pull needed, 49 pulls left in its window of 6 h" in single.stderr
    assert single.json["hub"] == {"needed": 1, "left": 49, "window": 21600}
    sandbox.hub.limit = sandbox.hub.pulls + 1  # an index, and none of its images
    words = ("--source", "docker.io/library/hello-world", "--image", "quota/spent:1")
    spent = az("acr", "import", "--name", "myregistry", *words)
    assert (spent.json["status"], spent.json["error"]["code"]) == ("failed", "source-quota-spent")
    sandbox.hub.limit = sandbox.hub.pulls  # nothing
    spent = az("acr", "import", "--name", "myregistry", "--source", "docker.io/quota/dry:1")
    assert (spent.json["status"], spent.json["error"]["code"]) == ("failed", "source-quota-spent")
    assert "6 h" in spent.json["error"]["recommendation"]


def test_run_stops_cleanly_before_the_quota_is_spent(sandbox, az, hub):
    """What was pulled is complete; what is left is said, and a next run does it."""
    push(hub, "quota/run", "1", "2", "3", "4")
    sandbox.hub.limit = 3
    result = az(*BATCH, "--source", "docker.io/quota/run")
    assert (result.code, sandbox.hub.pulls) == (1, 3)
    assert sorted(status for _, status in states(result)) == ["blocked", "copied", "copied", "copied"]
    assert result.json["summary"]["hub"] == {"needed": 1, "left": 0, "window": 21600}
    blocked = next(item for item in result.json["items"] if item["status"] == "blocked")
    assert blocked["error"]["code"] == "source-quota-spent"
    assert "6 h" in blocked["error"]["recommendation"]
    sandbox.hub.pulls = 0
    assert sorted(status for _, status in states(az(*BATCH, "--source", "docker.io/quota/run"))) == [
        "copied", "unchanged", "unchanged", "unchanged",
    ]  # fmt: skip


def test_registry_option_is_for_all_that_names_none(sandbox, az):
    """Of --source and of a file; its login server said once more is cut, and elsewhere is elsewhere."""
    push(sandbox.content(SOURCE), "within/app", "1", "2", "3")
    push(sandbox.content(MCR), "within/other", "1")
    listing = f"within/app:2\n{MCR}/within/other:1\n{SOURCE}/within/app:3 within/three\n"
    words = ("--registry", "mysourceregistry", "--source", f"{SOURCE}/within/app:1", "--file", "-")
    result = az(*BATCH, *words, stdin=listing)
    assert result.code == 0, result.stderr
    assert states(result) == [
        ("within/app:1", "copied"),
        ("within/app:2", "copied"),
        ("within/other:1", "copied"),
        ("within/three:3", "copied"),
    ]
    assert f"The login server {SOURCE} in --source is ignored" in result.stderr
    batch = "version: 1\nimports:\n  - source: within/app\n    tags: ['3']\n"
    named = az(*BATCH, "--registry", sandbox.world.registries["mysourceregistry"].id, "--file", "-", stdin=batch)
    assert states(named) == [("within/app:3", "copied")]
    foreign = "foreignregistry.azurecr.io"
    batch = "version: 1\nimports: [{source: app/web:v1}]\n"
    batch += f"registries: {{{foreign}: {{username: puller, passwordEnv: PASS}}}}\n"
    words = ("--registry", foreign, "--file", "-", "--prefix", "within/")
    assert states(az(*BATCH, *words, stdin=batch, PASS="puller-secret")) == [("within/app/web:v1", "copied")]  # noqa: S106
    nowhere = az(*BATCH, "--registry", "nosuchregistry")
    assert (nowhere.code, nowhere.json["items"][0]["source"]) == (3, "nosuchregistry")


def test_shards_are_disjoint_and_complete(sandbox, az):
    """Together they are the whole, and each repository is in one of them."""
    for number, tags in enumerate((5, 3, 2, 1)):
        push(sandbox.content(MCR), f"shards/r{number}", *map(str, range(tags)))
    listing = "".join(f"mcr.microsoft.com/shards/r{number}\n" for number in range(4))
    parts = [az(*BATCH, "--file", "-", "--shard", f"{part}/3", stdin=listing) for part in (1, 2, 3)]
    targets = [target for part in parts for target, _ in states(part)]
    assert sorted(targets) == sorted(f"shards/r{n}:{tag}" for n, tags in enumerate((5, 3, 2, 1)) for tag in range(tags))
    assert [part.json["summary"]["shard"] for part in parts] == ["1/3", "2/3", "3/3"]


@pytest.mark.parametrize(("jobs", "most"), [(None, 10), (3, 3), (40, 10)])
def test_service_does_what_it_is_named_for(sandbox, az, jobs, most):
    """Ten at once, or as many as --jobs says where that is less; one that is refused for a 429 comes again."""
    name = f"served/app-{jobs or 0}"
    push(sandbox.content(SOURCE), name, *map(str, range(most + 2)))
    words = (*BATCH, "--source", f"{SOURCE}/{name}", "--engine", "service", *(("--jobs", str(jobs)) if jobs else ()))
    together = threading.Barrier(most)  # the first ones end when all of them have begun
    sandbox.world.service_faults = [ServiceFault(before=lambda: together.wait(60)) for _ in range(most)]
    busy = Response(429, {"Retry-After": "1"}, b'{"error":{"code":"TooManyRequests","message":"Slow down."}}')
    sandbox.faults.add(method="POST", path=".*/importImage", skip=most, answer=busy)
    mark = sandbox.log.mark()
    result = az(*words)
    assert result.code == 0, result.stderr
    asked = sandbox.log.find(since=mark, path=".*/importImage")
    ended = sandbox.log.find(since=mark, path=".*/operationResults/", status=200)
    # a request is written down when it has been answered; under way it is from when it came
    turns = [(entry["time"] - entry["seconds"], 1) for entry in asked if entry["status"] == 202]
    turns += [(entry["time"], -1) for entry in ended]
    under_way = list(accumulate(step for _, step in sorted(turns)))
    assert not together.broken  # so many were under way at once; and never more
    assert max(under_way) <= most and under_way[-1] == 0
    assert Counter(entry["status"] for entry in asked) == {202: most + 2, 429: 1}
    assert {(item["status"], item["engine"]) for item in result.json["items"]} == {("copied", "service")}
    assert result.json["summary"]["bytes"] is None
    assert {status for _, status in states(az(*words))} == {"unchanged"}


def test_each_image_has_the_engine_that_can_do_it(sandbox, az):
    """A target that is closed to this machine: the service does all of it, and says why."""
    push(sandbox.content(SOURCE), "closed/app", "1", "2")
    result = az("acr", "import-batch", "--name", "closedregistry", "--source", f"{SOURCE}/closed/app")
    assert result.code == 0, result.stderr
    assert [(item["status"], item["engine"]) for item in result.json["items"]] == [("copied", "service")] * 2
    assert "may not push" in result.json["items"][0]["engineReason"]


def test_target_that_does_not_exist_is_told_for_all(az):
    """Exit code 3; nothing was tried."""
    result = az("acr", "import-batch", "--name", "nosuchregistry", "--source", f"{MCR}/a:1", "--source", f"{MCR}/b")
    assert result.code == 3
    assert [(item["source"], item["status"]) for item in result.json["items"]] == [
        (f"{MCR}/a:1", "blocked"),
        (f"{MCR}/b", "blocked"),
    ]
    assert [item["targets"] for item in result.json["items"]] == [["a:1"], []]  # as far as it can be told
    assert {item["error"]["code"] for item in result.json["items"]} == {"target-registry-not-found"}


def test_only_source_that_does_not_exist_is_exit_code_3(az):
    """And the report says so; a pattern that matches nothing is 1."""
    result = az(*BATCH, "--source", f"{MCR}/nowhere/app:1")
    assert (result.code, result.json["items"][0]["error"]["code"]) == (3, "source-not-found")
    assert result.stderr.count("does not exist") == 1
    result = az(*BATCH, "--source", f"{MCR}/hello-world", "--tags", "9.*")
    assert (result.code, result.json["items"]) == (1, [])
    assert f"{MCR}/hello-world: nothing matches 9.*" in result.stderr


def test_catalog_that_is_not_shown_says_what_to_do_instead(sandbox, az):
    """Of one source; the others are done."""
    push(sandbox.content(MCR), "catalog/app", "1")
    sandbox.faults.add(host="registry.contoso.com", path="/v2/_catalog", answer=Response(403), times=9)
    result = az(*BATCH, "--source", "registry.contoso.com", "--source", f"{MCR}/catalog/app")
    assert result.code == 1
    refused, copied = result.json["items"]
    assert (refused["source"], refused["targets"], copied["status"]) == ("registry.contoso.com", [], "copied")
    assert "--source registry.contoso.com/REPOSITORY" in refused["error"]["recommendation"]


def test_source_that_may_not_be_read_fails_alone(sandbox, az):
    """One whose owner forbids it, by name and whole; nothing is asked of it."""
    push(sandbox.content(MCR), "alone/app", "1")
    mark = sandbox.log.mark()
    sources = ("secretregistry.azurecr.io/a:1", "secretregistry.azurecr.io", f"{MCR}/alone/app")
    result = az(*BATCH, *(word for source in sources for word in ("--source", source)))
    assert [item["status"] for item in result.json["items"]] == ["failed", "failed", "copied"]
    assert result.json["items"][0]["error"]["code"] == "source-export-disabled"
    assert not sandbox.log.find(since=mark, host="secretregistry.azurecr.io")


def test_fail_fast_blocks_what_is_left(sandbox, az):
    """With what has stopped it."""
    push(sandbox.content(MCR), "fast/app", "1", "2")
    listing = "".join(f"{MCR}/fast/app:{tag}\n" for tag in ("gone", "1", "2"))
    result = az(*BATCH, "--file", "-", "--fail-fast", "--jobs", "1", stdin=listing)
    assert (result.code, [status for _, status in states(result)]) == (1, ["failed", "blocked", "blocked"])
    assert result.json["items"][1]["error"]["code"] == "blocked"
    late = az(*BATCH, "--file", "-", "--fail-fast", stdin=f"{MCR}/fast/app\n{MCR}/fast/none\n")
    assert [item["status"] for item in late.json["items"]] == ["blocked", "blocked", "failed"]


def test_file_of_another_tool_is_taken_over(sandbox, az, tmp_path):
    """And what is not, is said; a destination elsewhere is not imported."""
    push(sandbox.content(MCR), "taken/app", "v1", "v2")
    file = tmp_path / "images.yaml"
    file.write_text(
        f"{MCR}/taken/app:v1: {TARGET}/taken/one\n{MCR}/taken/app:/2$/: [{TARGET}/taken/two, elsewhere.test/x]\n"
    )
    result = az(*BATCH, "--file", str(file))
    assert states(result) == [("taken/one:v1", "copied"), ("taken/two:v2", "copied")]
    assert "Not taken over" in result.stderr and "elsewhere.test" in result.stderr


def test_report_as_json_is_what_is_printed(sandbox, az, tmp_path):
    """The same document."""
    push(sandbox.content(MCR), "written/app", "1")
    path = tmp_path / "report.json"
    result = az(*BATCH, "--source", f"{MCR}/written/app", "--report", str(path))
    assert json.loads(path.read_text()) == result.json
    assert sorted(found.name for found in tmp_path.iterdir() if "report" in found.name) == ["report.json"]
