# SPDX-License-Identifier: MIT
"""What stands in a file, a list, or a file of another tool; and all that can be wrong with it."""

from __future__ import annotations

import io
import json
import sys

import pytest

from azext_acrimport.batch import document, marked
from azext_acrimport.batch.document import read_file
from azext_acrimport.batch.schema import SCHEMA
from azext_acrimport.batch.wanted import Mistakes

DIGEST = "sha256:" + "0123456789abcdef" * 4
WHOLE = f"""
version: 1
target: myregistry
defaults:
  referrers: none
  tags: ["1.*"]
  platforms: [linux/amd64, linux/arm64]
imports:
  - source: docker.io/alpine
    tags: ["3.19", "3.2*", ">=3.18 <4"]
    exclude: ["*-rc*"]
    newest: 5
    target: base/alpine
  - source: ghcr.io/contoso/app@{DIGEST}
    target: app:pinned
    platforms: []
    referrers: all
  - source: old.azurecr.io
registries:
  ghcr.io: {{username: bot, passwordEnv: GHCR_TOKEN}}
  registry.corp:5000: {{plainHttp: true, username: x, passwordFile: secret.txt}}
  Registry:5000: {{plainHttp: true}}
"""


@pytest.fixture
def read(tmp_path):
    """A function from a text, in a file of this name, to what it asks for."""

    def read(text, name="batch.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_file(str(path))

    return read


def mistakes(read, text, name="batch.yaml") -> list[str]:
    """Without the folder."""
    with pytest.raises(Mistakes) as caught:
        read(text, name)
    return [said.rpartition(f"/{name}:")[2] for said in caught.value.mistakes]


def test_file_says_all_that_it_can_say(read, tmp_path):
    """An entry wins over the defaults; of a single image there is nothing to select."""
    found = read(WHOLE)
    alpine, app, old = found.wanted
    assert found.target == "myregistry"
    assert (alpine.name, alpine.target) == ("docker.io/library/alpine", ("base/alpine", None))
    assert [pattern.text for pattern in alpine.selection.tags] == ["3.19", "3.2*", ">=3.18 <4"]
    assert (alpine.selection.newest, alpine.referrers) == (5, "none")
    assert list(map(str, alpine.platforms)) == ["linux/amd64", "linux/arm64"]
    assert str(app.digest) == DIGEST
    assert (app.target, app.platforms, app.referrers) == (("app", "pinned"), (), "all")
    assert (old.registry, old.repository) == ("old.azurecr.io", "")
    assert [pattern.text for pattern in old.selection.tags] == ["1.*"]
    assert found.registries["ghcr.io"].password_env == "GHCR_TOKEN"  # noqa: S105
    corp = found.registries["registry.corp:5000"]
    assert found.registries["registry:5000"].plain_http
    assert corp.plain_http and corp.password_file == str(tmp_path / "secret.txt")


ENTRY = "version: 1\nimports:\n  - source: docker.io/library/a:1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["1: the whole file: expected a mapping (key: value), found nothing"]),
        ("version: 1\nimports: []\n", ["2: imports: expected at least one entry, found an empty list"]),
        ("version: 1\n", ["1: imports: it is missing"]),
        (ENTRY.replace("1\n", "2\n", 1), ["1: version: expected 1, found 2"]),
        (ENTRY.replace("1\n", "'1'\n", 1), ["1: version: expected 1, found a text"]),
        (ENTRY + "taget: x\n", ["4: taget: this key is not known; is target meant?"]),
        (ENTRY[:-3] + "\n    newest: five\n", ["4: imports[0].newest: expected a whole number, found a text (five)"]),
        (ENTRY[:-3] + "\n    tags: 1\n", ["4: imports[0].tags: expected a list, found a whole number (1)"]),
        (
            ENTRY.replace(":1\n  ", ":1\n  ") + "  - source: docker.io/library/b\n    tags: [3.20]\n",
            ['5: imports[1].tags[0]: expected a text, found a number; put it in quotes: "3.20"'],
        ),
        (ENTRY + "    referrers: some\n", ["4: imports[0].referrers: expected one of all, new, none, found some"]),
        (ENTRY + "    password: hunter2\n", ["4: imports[0].password: a secret never stands in the file; name a "
         "variable with passwordEnv, or a file with passwordFile"]),
        (ENTRY + "registries:\n  ghcr.io: hunter2\n", ["5: registries.ghcr.io: expected a mapping (key: value), found "
         "a text"]),
        (ENTRY + "registries:\n  ghcr.io: {username: bot}\n", ["5: registries.ghcr.io.username: a user name needs "
         "passwordEnv or passwordFile"]),
        (ENTRY + 'registries:\n  ghcr.io: {username: a, passwordFile: "a\\0b"}\n', [
            "5: registries.ghcr.io.passwordFile: a NUL character is in no name of a variable or a file"]),
        (ENTRY + 'registries:\n  ghcr.io: {username: a, passwordEnv: "a\\0b"}\n', [
            "5: registries.ghcr.io.passwordEnv: a NUL character is in no name of a variable or a file"]),
        (ENTRY + "registries:\n  ghcr.io/a: {}\n  contoso: {}\n", [f"{line}: registries.{key}: expected a registry's "
         "host, such as registry:5000" for line, key in ((5, "ghcr.io/a"), (6, "contoso"))]),
        (ENTRY + "registries:\n  bob:hunter2@ghcr.io: {}\n", ["5: registries.REDACTED@ghcr.io: expected a registry's "
         "host, such as registry:5000"]),
        (ENTRY + "    target: x:1\n  - source: docker.io/library/b:1\n    target: x:1\n", ["5: the target x:1 is that "
         "of line 3 already"]),
        (ENTRY + "    tags: ['2']\n", ["4: imports[0].tags: the source names one image already"]),
        (ENTRY + "  - source: nginx\n", ["4: imports[1].source: nginx: the registry is missing; for Docker Hub write "
         "docker.io/nginx"]),
        (ENTRY + "    platforms: [amd]\n", ["4: imports[0].platforms[0]: 'amd' is not a platform"]),
        (ENTRY + "    target: UPPER\n", ["4: imports[0].target: the target UPPER: 'UPPER' is not a repository name "
         "(repositories are lower-case)"]),
        (ENTRY + "  - source: docker.io/library/b\n    target: b:1\n", ["5: imports[1].target: the target b:1 has a "
         "tag, but the source may have many; name one tag of it"]),
        (ENTRY + "  - source: old.azurecr.io\n    target: b\n", ["5: imports[1].target: the target b: a whole registry "
         "has many repositories; leave the target out"]),
        (ENTRY + "  - source: oci:folder\n", ["4: imports[1].source: oci:folder: a batch reads registries; for files "
         "there is az acr import"]),
        # of YAML
        ("imports: [\n", ["2: this is not YAML: did not find expected node content"]),
        ("a: &x [1]\nb: [*x, *x]\n", ["2: aliases (*name) are not read; write it out"]),
        ("a: 1\na: 2\n", ["2: the key 'a' is here a second time"]),
        ("a: !!python/object:os.system x\n", ["1: tags (tag:yaml.org,2002:python/object:os.system) are not read"]),
        ("---\na: 1\n---\nb: 1\n", ["3: a file holds one document; here a second one begins"]),
        ("[" * 1000, ["1: it is nested more than 20 deep"]),
        (b"version: 1\nx: \xff\n", ["2: it is not UTF-8 text"]),
        ("version: 1\n# \u00e9\nx: \x07\n", ["3: this is not YAML: control characters are not allowed"]),
    ],
)  # fmt: skip
def test_mistake_is_named_with_line_and_key(read, text, said):
    """And with what was expected."""
    assert mistakes(read, text) == said


def test_all_mistakes_come_at_once(read):
    """In the order of the lines, and no secret among them."""
    text = ENTRY + "    taget: x\n  - tags: [a b]\n    token: hunter2\n  - source: x\nmore: 1\n"
    said = mistakes(read, text)
    assert [int(line.partition(":")[0]) for line in said] == [4, 5, 5, 6, 7, 8]
    assert "hunter2" not in "".join(said)


def test_file_above_the_limit_is_refused_unread(read, monkeypatch):
    """10,000,000 bytes."""
    assert marked.MAX_BYTES == 10_000_000
    monkeypatch.setattr(document, "read_yaml", None)
    with pytest.raises(Mistakes, match="larger than 10,000,000 bytes"):
        read(b"#" * 10_000_001)


LIST = "docker.io/library/alpine:3.20 # comment\n# another\n\nmcr.microsoft.com/a base/a\r\nold.azurecr.io\n"


@pytest.mark.parametrize("text", [LIST, "\ufeff" + LIST, LIST.replace("\n", "\r\n")])
@pytest.mark.parametrize("name", ["list.txt", "list", "-"])
def test_plain_list_is_read(read, text, name, monkeypatch):
    """With or without byte order mark, from a file or from standard input."""
    if name == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    found = (read_file("-") if name == "-" else read(text, name)).wanted
    assert [wanted.name for wanted in found] == [
        "docker.io/library/alpine:3.20",
        "mcr.microsoft.com/a",
        "old.azurecr.io",
    ]
    assert [wanted.target for wanted in found] == [None, ("base/a", None), None]


def test_list_may_begin_with_an_address_in_brackets(read):
    """Which is no list of YAML's; and only ends of lines end a comment."""
    found = read("# old\f page \u2028 of it\n[::1]:5000/app/web:v1\n", "list.txt").wanted
    assert [wanted.name for wanted in found] == ["[::1]:5000/app/web:v1"]
    with pytest.raises(Mistakes, match="expected a mapping"):
        read("[docker.io/library/alpine]\n", "list.txt")


def test_standard_input_that_is_closed_has_nothing(monkeypatch):
    """Python has no object for it."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Mistakes, match="standard input:1: it names no source"):
        read_file("-")


def test_yaml_on_standard_input_is_known_by_its_look(monkeypatch):
    """No reference has a colon before a blank."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"# x\n" + WHOLE.encode())))
    assert len(read_file("-").wanted) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nothing\n", ["1: it names no source"]),
        ("a b c\nnginx\n", ["1: a line is 'source' or 'source target', not 3 words",
         "2: nginx: the registry is missing; for Docker Hub write docker.io/nginx"]),
        ("docker.io/a:1 b@" + DIGEST, [f"1: the target b@{DIGEST}: a target has a tag, never a digest"]),
    ],
)  # fmt: skip
def test_mistakes_of_a_list_are_named_by_line(read, text, said):
    """All of them."""
    assert mistakes(read, text, "list.txt") == said


FOREIGN = {
    "skopeo": (
        """
registry.example.com:
  images:
    busybox: []
    redis: ["1.0", "2.0", "DIGEST"]
  images-by-tag-regex: {nginx: ^1\\.13}
  images-by-semver: {alpine: ">= 3.12"}
  credentials: {username: john, password: hunter2}
  tls-verify: false
unused.example.com: {cert-dir: certs}
""",
        [
            ("registry.example.com/busybox", "", None),
            (f"registry.example.com/redis@{DIGEST}", "", None),
            ("registry.example.com/redis", "1.0 2.0", None),
            ("registry.example.com/nginx", "/^1\\.13/", None),
            ("registry.example.com/alpine", ">= 3.12", None),
        ],
        ["credentials", "tls-verify", "unused.example.com.cert-dir"],
    ),
    "image-syncer": (
        """
quay.io/a/b: reg.test/c/d
quay.io/a/b:v1,v2: [reg.test/c/e, "reg.test/c/f"]
quay.io/a/b:/^v3/: reg.test/c/g
quay.io/a/b:v1: reg.test/c/h:w1
Bad/ref: reg.test/x
quay.io/a/b:v5: [5]
""",
        [
            ("quay.io/a/b", "", ("c/d", None)),
            ("quay.io/a/b", "v1 v2", ("c/e", None)),
            ("quay.io/a/b", "v1 v2", ("c/f", None)),
            ("quay.io/a/b", "/^v3/", ("c/g", None)),
            ("quay.io/a/b:v1", "", ("c/h", "w1")),
        ],
        ["Bad/ref", "quay.io/a/b:v5"],
    ),
    "regsync": (
        """
version: 1
creds: [{registry: docker.io, user: x, pass: hunter2}]
defaults: {parallel: 2}
sync:
  - {source: "busybox:latest", target: "reg.test/busybox:latest", type: image}
  - source: alpine
    target: reg.test/alpine
    type: repository
    tags: {allow: ["3", "3.1.*"], deny: [".*rc.*"]}
    backup: old
  - {source: old.test, target: reg.test, type: registry}
""",
        [
            ("docker.io/library/busybox:latest", "", ("busybox", "latest")),
            ("docker.io/library/alpine", "/^(?:3)$/ /^(?:3.1.*)$/", ("alpine", None)),
            ("old.test", "", None),
        ],
        ["creds", "defaults", "sync[1].backup"],
    ),
}


@pytest.mark.parametrize(
    "text",
    [
        '"bob:hunter2@docker.io/library/a:1": reg.test/b',
        '"https://bob:hunter2@docker.io/library/a:1": reg.test/b',
        '"bob:hunter2@docker.io": {images: {a: ["1"]}}',
    ],
)
def test_password_in_a_key_is_not_said(read, text):
    """Of whichever tool the file is."""
    with pytest.raises(Mistakes) as caught:
        read(text)
    assert "REDACTED@docker.io" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("tool", FOREIGN)
def test_file_of_another_tool_is_taken_over(read, tool):
    """As far as it means the same; what is left is named by line and key, and never with a password."""
    text, expected, left_out = FOREIGN[tool]
    found = read(text.replace("DIGEST", DIGEST))
    shown = [(w.name, " ".join(p.text for p in w.selection.tags), w.target) for w in found.wanted]
    assert shown == expected
    for key, said in zip(left_out, found.left_out, strict=True):
        assert key in said
    assert "hunter2" not in str(found)


def test_schema_is_one_that_editors_take():
    """All that it refers to is there, and it says what each key is."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert schema["$schema"].startswith("https://json-schema.org/")
    references = {line.split('"')[3] for line in SCHEMA.read_text("utf-8").split("{") if '"$ref"' in line}
    assert {reference.rpartition("/")[2] for reference in references} == set(schema["$defs"])
