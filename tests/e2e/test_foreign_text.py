# SPDX-License-Identifier: MIT
"""What a registry, an archive or a layout says reaches nobody's terminal, pipeline or log as more than plain text."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.sandbox import images
from tests.sandbox.server import Listener, Request, Response
from tests.sandbox.storage import digest_of
from tests.sandbox.world import ServiceFault
from tests.support.layouts import write_folder, write_tar
from tests.support.once import once

EVIL = "canary\x1b[2J\u202e\u200b ##vso[task.complete result=Failed] ##[error]x" + "z" * 3000
FOLDED = "canary ##vso[task.complete]\r\n ##[error]x\x1b[2J" + "z" * 3000
SAID = json.dumps({"errors": [{"code": f"E\r\n{EVIL}", "message": f"\n{EVIL}", "detail": f"\n{EVIL}"}]}).encode()


def described(**changes: object) -> dict[str, object]:
    """A descriptor of nothing, but for the changes."""
    return {"mediaType": images.OCI_MANIFEST, "digest": digest_of(b""), "size": 2, **changes}


def served(media_type: str, **members: object) -> Response:
    """A manifest with these members."""
    raw = json.dumps({"schemaVersion": 2, "mediaType": media_type, **members}).encode()
    return Response(200, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(raw)}, raw)


PLATFORM = {"os": EVIL, "architecture": f"a{EVIL}"}
REGISTRIES = {
    "error body": Response(404, {}, SAID),
    "page for people": Response(500, {}, f"<html><b>{EVIL}</b>{'<' * 200_000}".encode()),
    "correlation id": Response(403, {"x-ms-correlation-request-id": FOLDED}, SAID),
    "digest": served(images.OCI_MANIFEST, layers=[described(digest=f"sha256:{EVIL}")]),
    "algorithm": served(images.OCI_MANIFEST, layers=[described(digest=f"{EVIL}:12")]),
    "media type": served(EVIL, layers=[]),
    "platform": served(images.OCI_INDEX, manifests=[described(platform=PLATFORM)]),
    "redirect": Response(307, {"Location": "/v2/canary/##vso[task.complete]##[error]\x1b[2J"}),
    "redirect to a host": Response(307, {"Location": "https://canary.\x1b[2J##vso[x]/"}),
    "realm": Response(401, {"WWW-Authenticate": 'Bearer realm="https://canary##vso[x].\x1b[2J/"'}),
    "header that is none": Response(404, {"canary ##vso[x]\x1b[2J": "x"}),
    "scheme": Response(401, {"WWW-Authenticate": "canary##vso x=y"}),
}


def outside(name: str) -> tarfile.TarInfo:
    """A member that leads out of its archive."""
    return tarfile.TarInfo(f"../{name}")


def files(folder: Path) -> dict[str, str]:
    """What may be said in a file: the source to import."""
    named = {"annotations": {"org.opencontainers.image.ref.name": EVIL}}
    layout = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    layout["index.json"] = json.dumps({"manifests": [described(**named), described(**named, digest=digest_of(b"x"))]})
    write_folder(
        folder / "layout", {name: raw if isinstance(raw, bytes) else raw.encode() for name, raw in layout.items()}
    )
    write_folder(folder / "version", {"oci-layout": json.dumps({"imageLayoutVersion": EVIL}).encode()})
    saved = json.dumps([{"Config": "c", "RepoTags": [EVIL], "Layers": []}, {"RepoTags": [f"a{EVIL}"]}]).encode()
    write_tar(folder / "saved.tar", {"manifest.json": saved})
    lost = json.dumps([{"Config": EVIL, "RepoTags": [], "Layers": []}]).encode()
    write_tar(folder / "lost.tar", {"manifest.json": lost})
    write_tar(folder / "outside.tar", {"a": b""}, outside(EVIL))
    return {
        "ref names": f"oci:{folder}/layout:none",
        "version of a layout": f"oci:{folder}/version",
        "RepoTags": f"docker-archive:{folder}/saved.tar:no:1",
        "name of a member": f"oci-archive:{folder}/outside.tar",
        "name in manifest.json": f"docker-archive:{folder}/lost.tar",
    }


@pytest.fixture(scope="module")
def heard(tmp_path_factory, extensions):
    """By place: standard output as JSON and as a table, standard error, and the log file, of the real az."""
    return once(tmp_path_factory.getbasetemp(), "heard", lambda: hear(tmp_path_factory, extensions))


def hear(tmp_path_factory, extensions):
    """As ``heard``."""
    from tests.support.az import Az

    folder = tmp_path_factory.mktemp("foreign")
    settings = {"AZURE_LOGGING_ENABLE_LOG_FILE": "yes", "AZURE_LOGGING_LOG_DIR": str(folder / "logs")}
    az = Az(folder, settings, extensions=extensions)
    answers: dict[str, Response] = {}

    def handler(request: Request) -> Response:
        if request.path == "/v2/" or not request.path.endswith(("/manifests/1", "/canary/")):
            return Response(200 if request.path == "/v2/" else 404, {}, SAID)
        return answers["now"]

    found, written = {}, 0
    with Listener(handler) as source, Listener(lambda _: Response(404)) as target, az.many() as run:
        places = {name: f"{source.address}/app:1" for name in REGISTRIES} | files(folder)
        for name, location in places.items():
            answers["now"] = REGISTRIES.get(name, Response())
            words = ["acr", "import", "-n", target.address, "--source", location, "-t", "app:1", "--engine", "embedded"]
            words += ["--platform", "linux/amd64"] if name == "platform" else []
            as_json = run(*words)
            as_table = run(*words, "-o", "table")
            said = as_json.stderr + as_table.stderr
            logs = "".join(path.read_text("utf-8") for path in sorted((folder / "logs").rglob("*.log")))
            found[name] = as_json, as_table.stdout, said, logs[written:]
            written = len(logs)
    return found


def test_words_of_azure_are_only_words(sandbox, az):
    """Of the import service, which relays those of a source: of a refusal, and of an operation that has failed."""
    logs = az.folder / "logs"
    az.environment |= {"AZURE_LOGGING_ENABLE_LOG_FILE": "yes", "AZURE_LOGGING_LOG_DIR": str(logs)}
    words = ("-n", "myregistry", "--source", "mcr.microsoft.com/hello-world", "-t", "evil:1", "--engine", "service")
    faults = [ServiceFault(refused=(400, EVIL, EVIL)), ServiceFault(failed=(400, "E", f"Invalid message {EVIL}"))]
    with az.many() as run:
        for fault in faults:
            sandbox.world.service_faults = [fault, fault]
            one, many = run("acr", "import", *words), run("acr", "import-batch", *words[:4], *words[6:])
            items = [one.json, *many.json["items"]]
            assert all(item["status"] == "failed" and "canary" in item["error"]["message"] for item in items)
            for found in (one, many):
                require_plain(found.stdout, found.stderr, *(text for item in items for text in item["error"].values()))
    written = "".join(path.read_text("utf-8") for path in sorted(logs.rglob("*.log")))
    assert "canary" in written
    require_plain(written)


def require_plain(*texts: str | None) -> None:
    """Printable, no order to an agent, and no longer than our patience."""
    for text in filter(None, texts):
        assert "##vso[" not in text and "##[" not in text
        assert re.sub(r"[\n\t]", "", text).isprintable()
        assert "z" * 1001 not in text


@pytest.mark.parametrize(
    "place",
    [*REGISTRIES, "ref names", "version of a layout", "RepoTags", "name of a member", "name in manifest.json"],
)
def test_words_of_a_stranger_are_only_words(heard, place):
    """On stdout, in JSON and in a table; on stderr; in the log file."""
    as_json, table, stderr, logs = heard[place]
    assert as_json.json["status"] == "failed"
    assert "Traceback" not in stderr  # az itself writes one into its log for every error
    assert logs
    require_plain(*as_json.json["error"].values(), as_json.stdout, table, stderr, logs)
