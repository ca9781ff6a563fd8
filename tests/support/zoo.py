# SPDX-License-Identifier: MIT
"""One of each kind of content that registries hold, small, and built the same every time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.sandbox import images
from tests.sandbox.images import Artifact
from tests.sandbox.storage import digest_of

WASM = "application/vnd.wasm.content.layer.v1+wasm"
HELM = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
ORAS = "application/vnd.cncf.oras.artifact.manifest.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
PAIR = ("linux/amd64", "linux/arm64/v8")


def rewritten(artifact: Artifact, change: Callable[[dict[str, Any]], Any], **dump: Any) -> Artifact:
    """The same with another root manifest; what ``change`` returns is ignored."""
    media_type, raw = artifact.manifests[-1]
    body = json.loads(raw)
    change(body)
    return Artifact([*artifact.manifests[:-1], (media_type, json.dumps(body, **dump).encode())], artifact.blobs)


def pair(seed: str, **members: Any) -> Artifact:
    """Two platforms."""
    return images.index([(p, images.image(f"{seed}-{p}", platform=p)) for p in PAIR], **members)


def one_layer(layer_type: str, content: bytes, config: bytes = b"{}", config_type: str = images.EMPTY, **members: Any):
    """An artifact of one blob."""
    return images.manifest(config, [content], config_type=config_type, layer_type=layer_type, **members)


def sha512() -> Artifact:
    """A layer that is named by another algorithm."""
    layer = images.layer("sha512", 700)
    digest = digest_of(layer, "sha512")
    image = images.image("sha512", (300,))
    image.blobs[digest] = layer
    described = {"mediaType": images.OCI_LAYER, "digest": digest, "size": len(layer)}
    return rewritten(image, lambda body: body["layers"].append(described))


def old_artifact(media_type: str) -> Artifact:
    """Before there were artifacts with an empty config: blobs, and nothing else."""
    content = b"old artifact"
    blob = {"mediaType": "text/plain", "digest": digest_of(content), "size": len(content)}
    body = {"mediaType": media_type, "artifactType": "application/vnd.example", "blobs": [blob]}
    return Artifact([(media_type, json.dumps(body).encode())], {blob["digest"]: content})


def twice(body: dict[str, Any]) -> None:
    """The first layer once more."""
    body["layers"].append(body["layers"][0])


def same_for_two(body: dict[str, Any]) -> None:
    """One image for two platforms."""
    body["manifests"].append({**body["manifests"][0], "platform": {"os": "linux", "architecture": "386"}})


def inline(body: dict[str, Any]) -> None:
    """The config stands in its descriptor as well."""
    body["config"]["data"] = base64.b64encode(b"{}").decode()


def cache() -> Artifact:
    """BuildKit's cache: an index whose children are blobs."""
    layers = [images.layer(f"cache-{number}", 400) for number in range(2)]
    config = b'{"layers": []}'
    entries = [
        *({"mediaType": images.OCI_LAYER, "digest": digest_of(raw), "size": len(raw)} for raw in layers),
        {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": digest_of(config), "size": len(config)},
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": entries}
    return Artifact([(images.OCI_INDEX, json.dumps(body).encode())], {digest_of(raw): raw for raw in (*layers, config)})


FOREIGN_LAYER = {"mediaType": FOREIGN, "size": 5, "digest": digest_of(b"windows"),
                 "urls": ["https://go.microsoft.com/fwlink/?linkid=1"]}  # fmt: skip

ZOO: dict[str, Artifact] = {
    "docker-image": images.image("zoo", docker=True),
    "docker-list": pair("docker", docker=True),
    "oci-image": images.image("zoo"),
    "oci-index": pair("oci"),
    "attestations": pair("attested", attestations=True),
    "nested-index": images.index([("linux/amd64", pair("inner")), ("linux/386", images.image("beside"))]),
    "helm-chart": one_layer(CHART, images.layer("chart", 900), b'{"name": "app"}', HELM),
    "helm-chart-with-provenance": images.manifest(
        b'{"name": "signed"}', [images.layer("signed", 900), b"-----BEGIN PGP"], config_type=HELM, layer_type=CHART
    ),
    "wasm": one_layer(WASM, b"\0asm\1\0\0\0", b"{}", "application/vnd.wasm.config.v1+json"),
    "zstd-layers": images.manifest(
        b'{"os": "linux", "architecture": "amd64"}',
        [b"\x28\xb5\x2f\xfd" + images.noise("zstd", 500)],
        config_type=images.OCI_CONFIG,
        layer_type=ZSTD,
    ),
    "estargz": images.image(
        "estargz", layer_annotations={"containerd.io/snapshot/stargz/toc.digest": digest_of(b"toc")}
    ),
    "empty-config": images.artifact("empty"),
    "inline-data": rewritten(images.artifact("inline"), inline),
    "sha512": sha512(),
    "layer-twice": rewritten(images.image("twice"), twice),
    "platform-twice": rewritten(pair("same"), same_for_two),
    "no-layers": images.image("no layers", ()),
    "empty-layer": one_layer("application/octet-stream", b""),
    "large-layer": one_layer("application/octet-stream", images.noise("large", 3_000_000)),
    "without-media-type": rewritten(images.image("bare"), lambda body: body.pop("mediaType")),
    "index-without-media-type": rewritten(pair("bare index"), lambda body: body.pop("mediaType")),
    "odd-bytes": rewritten(images.image("odd", annotations={"ü": "\u2028"}), dict, indent="\t", ensure_ascii=False),
    "unknown-members": images.image("unknown", x={"y": [1.5, None, True]}),
    "foreign-layers": images.image("windows", docker=True, platform="windows/amd64", foreign=FOREIGN_LAYER),
    "nondistributable-layers": one_layer(NONDISTRIBUTABLE, b"nowhere else"),
    "windows-versions": images.index(
        [(p, images.image(p, platform=p)) for p in ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.1")]
    ),
    "sbom": one_layer("application/spdx+json", b'{"spdxVersion": "SPDX-2.3"}', artifactType="application/spdx+json"),
    "build-cache": cache(),
    "oci-artifact-manifest": old_artifact(OCI_ARTIFACT),
    "oras-artifact-manifest": old_artifact(ORAS),
}
