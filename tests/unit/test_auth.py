# SPDX-License-Identifier: MIT
"""Signing in, as conversations: what the registry says, what we send."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from azext_acrimport.engine import ANONYMOUS, AuthError, Credential, Denied, RegistryClient, Unauthorized
from azext_acrimport.engine.auth.scope import Scope
from azext_acrimport.engine.auth.token import Token
from tests.support.scripted import Script, Sent, answer, transport

PASSWORD = Credential(mode="user name and password", username="bob", password="pass:word")
ENTRA = Credential(mode="az login identity", entra_token="entra-1", tenant="tenant-1")
PULL = (Scope.pull("app"),)


def jwt(**claims: object) -> str:
    """A token with these claims."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2ln"


def challenge(host: str, realm: str = "", **parameters: str) -> dict[str, str]:
    """A WWW-Authenticate header."""
    values = {"realm": realm or f"https://{host}/token", **parameters}
    return {"WWW-Authenticate": "Bearer " + ",".join(f'{name}="{value}"' for name, value in values.items())}


def form(sent: Sent) -> dict[str, str]:
    """The fields of a form."""
    return {name: values[0] for name, values in parse_qs(sent.body.decode()).items()}


def client(script: Script, credential: Credential = ANONYMOUS, host: str = "registry.test") -> RegistryClient:
    """A client of one host."""
    return RegistryClient(host, host, transport(script), lambda: credential)


def get(of: RegistryClient, scopes: tuple[Scope, ...] = PULL) -> int:
    """One request."""
    return of.fetch("GET", "/v2/app/manifests/1", scopes=scopes, accept={200}).status


def test_nothing_is_asked_for_where_nothing_is_wanted():
    """A registry without a challenge sees no Authorization."""
    script = Script([answer()])
    assert get(client(script, PASSWORD)) == 200
    assert "Authorization" not in script.sent[0].headers


def test_anonymous_token_is_fetched():
    """Docker Hub's way: another host, GET, no credentials."""
    headers = challenge("", "https://auth.test/token", service="registry.test", scope="repository:app:pull")
    script = Script([answer(401, headers), answer(body=b'{"token": "t1"}'), answer()])
    assert get(client(script)) == 200
    asked = urlsplit(script.sent[1].url)
    assert (asked.netloc, asked.path) == ("auth.test", "/token")
    assert parse_qs(asked.query) == {"service": ["registry.test"], "scope": ["repository:app:pull"]}
    assert "Authorization" not in script.sent[1].headers
    assert script.sent[2].headers["Authorization"] == "Bearer t1"


def test_password_is_shown_to_the_token_service_only():
    """Basic there, Bearer at the registry."""
    script = Script([answer(401, challenge("registry.test")), answer(body=b'{"access_token": "t1"}'), answer()])
    get(client(script, PASSWORD))
    expected = base64.b64encode(b"bob:pass:word").decode()
    assert [sent.headers.get("Authorization") for sent in script.sent] == [None, f"Basic {expected}", "Bearer t1"]


@pytest.mark.parametrize("secret", ["entra_token", "refresh_token", "password"])
def test_secret_that_is_no_text_is_a_wrong_one(secret):
    """Half a character, of a command line or of a file."""
    credential = Credential(mode="given", username="bob", **{secret: "p\udcff"})
    host = "r.azurecr.io"
    script = Script([answer(401, challenge(host, f"https://{host}/oauth2/token", service=host)), *[answer(401)] * 3])
    with pytest.raises(Unauthorized):
        get(client(script, credential, host))


def test_basic_is_used_where_it_is_all_there_is():
    """And Bearer where both are offered."""
    script = Script([answer(401, {"WWW-Authenticate": 'Basic realm="x"'}), answer()])
    get(client(script, PASSWORD))
    assert script.sent[1].headers["Authorization"].startswith("Basic ")


def test_scope_that_was_demanded_comes_first():
    """Some token services look at the first one only."""
    headers = challenge("registry.test", scope="repository:other:pull")
    script = Script([answer(401, headers), answer(body=b'{"token": "t1"}'), answer()])
    get(client(script), (Scope.push("app"), Scope.pull("other")))
    scopes = parse_qs(urlsplit(script.sent[1].url).query)["scope"]
    assert scopes == ["repository:other:pull", "repository:app:pull,push"]


@pytest.mark.parametrize("scope", ["repository:app:pull", "repository:app:push", ""])
def test_challenge_that_names_less_is_no_trouble(scope):
    """We know what we need."""
    script = Script([answer(401, challenge("registry.test", scope=scope)), answer(body=b'{"token": "t1"}'), answer()])
    get(client(script), (Scope.push("app"),))
    assert parse_qs(urlsplit(script.sent[1].url).query)["scope"] == ["repository:app:pull,push"]


@pytest.mark.parametrize(
    "scope",
    [
        "repository:app:delete,pull,push",
        "repository:app:*",
        "repository:secret:pull repository:app:pull",
        "repository:secret:pull,push",
        "repository:library/app:pull",  # perhaps ours, by another name; who rewrites paths must rewrite scopes as well
        "registry:catalog:*",
        "repository::pull",
        "repository:app/../secret:pull",
        " ".join(f"repository:r{number}:pull" for number in range(1000)),
    ],
)
def test_no_challenge_widens_what_we_ask_for(scope):
    """A token for another repository would be the registry's to use."""
    asked = answer(401, challenge("registry.test", scope=scope))
    script = Script([asked, answer(body=b'{"token": "t1"}'), answer()])
    get(client(script, PASSWORD))
    assert parse_qs(urlsplit(script.sent[1].url).query)["scope"] == ["repository:app:pull"]


ACR_HOST = "r.azurecr.io"


@pytest.mark.parametrize(
    ("realm", "credential"),
    [
        ("https://evil.test/oauth2/token", PASSWORD),
        ("https://r.azurecr.io.evil.test/oauth2/token", PASSWORD),
        ("https://r.azurecr.io:444/oauth2/token", PASSWORD),
        ("https://other.azurecr.io/oauth2/token", PASSWORD),
        ("https://evil.test/oauth2/token", Credential("identity token", refresh_token="refresh")),
        ("https://evil.test/oauth2/token", ENTRA),
    ],
)
def test_credentials_of_an_azure_registry_go_to_no_realm_elsewhere(realm, credential):
    """It is its own token service; nothing at all is sent to another one."""
    script = Script([answer(401, challenge(ACR_HOST, realm))])
    of = RegistryClient(ACR_HOST, ACR_HOST, transport(script), lambda: credential, acr=True)
    with pytest.raises(AuthError, match="is not sent to"):
        get(of)
    assert len(script.sent) == 1


@pytest.mark.parametrize("acr", [True, False])
def test_realm_is_looked_at_each_time(acr):
    """One that changes after the exchange gets neither the refresh token nor anything else."""
    own, evil = f"https://{ACR_HOST}/oauth2/token", "https://evil.test/oauth2/token"
    fetched = [answer(body=b'{"refresh_token": "refresh-1"}'), answer(body=b'{"access_token": "access-1"}'), answer()]
    script = Script([answer(401, challenge(ACR_HOST, own)), *fetched, answer(401, challenge(ACR_HOST, evil))])
    of = RegistryClient(ACR_HOST, ACR_HOST, transport(script), lambda: ENTRA, acr=acr)
    get(of)
    with pytest.raises(AuthError, match=r"not sent to https://evil\.test"):
        get(of)
    assert len(script.sent) == 5
    assert not any("evil" in sent.url for sent in script.sent)


def test_token_loop_ends():
    """A registry that refuses each token that its token service gives."""
    tokens = iter(range(1000))

    def registry(sent: Sent):
        if "/token" in sent.url:
            return answer(body=json.dumps({"token": f"t{next(tokens)}"}).encode())
        return answer(401, challenge("registry.test"))

    script = Script(registry)
    with pytest.raises(Unauthorized):
        get(client(script, PASSWORD))
    assert len(script.sent) == 3


def test_token_is_reused_for_what_it_covers():
    """A token for pull and push serves a pull."""
    script = Script([answer(401, challenge("registry.test")), answer(body=b'{"token": "t1"}'), answer(), answer()])
    of = client(script)
    get(of, (Scope.push("app"),))
    get(of, PULL)
    assert len(script.sent) == 4


def test_token_is_not_sent_for_more_than_it_covers():
    """To push, or to mount from elsewhere, another one is fetched at once, instead of after a refusal."""
    tokens = [answer(body=b'{"token": "t%d"}' % number) for number in (1, 2, 3)]
    script = Script(
        [answer(401, challenge("registry.test")), tokens[0], answer(), tokens[1], answer(), tokens[2], answer()]
    )
    of = client(script)
    for scopes in (PULL, (Scope.push("app"),), (Scope.push("app"), Scope.pull("other"))):
        get(of, scopes)
    sent = [sent.headers.get("Authorization") for sent in script.sent if "/v2/" in sent.url]
    assert sent == [None, "Bearer t1", "Bearer t2", "Bearer t3"]


def test_token_that_is_refused_is_renewed_once():
    """A 401 in the middle: one new token, then the request again, with its body."""
    texts = [answer(401, challenge("registry.test")), answer(body=b'{"token": "t1"}'), answer(), answer(401)]
    script = Script([*texts, answer(body=b'{"token": "t2"}'), answer()])
    of = client(script)
    get(of)
    of.fetch("PUT", "/v2/app/manifests/1", scopes=PULL, accept={200}, body=b"manifest")
    assert script.sent[-1].headers["Authorization"] == "Bearer t2"
    assert script.sent[-1].body == b"manifest"


def test_token_that_covers_more_is_renewed_as_well():
    """What was fetched for pull and push is refused at a pull: a new one is fetched for the pull."""
    script = Script([answer(401, challenge("registry.test")), answer(body=b'{"token": "t1"}'), answer(),
                     answer(401), answer(body=b'{"token": "t2"}'), answer()])  # fmt: skip
    of = client(script)
    get(of, (Scope.push("app"),))
    get(of, PULL)
    assert script.sent[-1].headers["Authorization"] == "Bearer t2"


def test_wrong_password_names_the_mode_and_not_the_password():
    """The token service refuses."""
    script = Script([answer(401, challenge("registry.test")), answer(401)])
    with pytest.raises(Unauthorized) as caught:
        get(client(script, PASSWORD))
    assert (caught.value.code, caught.value.mode) == ("source-unauthorized", "user name and password")
    assert "pass:word" not in f"{caught.value} {caught.value!r} {PASSWORD!r}"


def test_missing_right_is_denied_and_not_unauthorized():
    """Known, but not allowed: ACR says insufficient_scope."""
    refused = answer(401, challenge("registry.test", error="insufficient_scope"))
    again = answer(401, challenge("registry.test", error="insufficient_scope"))
    script = Script([refused, answer(body=b'{"token": "t1"}'), again])
    with pytest.raises(Denied):
        get(client(script, PASSWORD))


def test_anonymous_refusal_is_unauthorized():
    """Without a sign-in nobody can say whether a right is missing."""
    refused = [answer(401, challenge("registry.test", error="insufficient_scope")) for _ in range(2)]
    with pytest.raises(Unauthorized) as caught:
        get(client(Script([refused[0], answer(body=b'{"token": "t1"}'), refused[1]])))
    assert caught.value.mode == "anonymous"


def test_entra_token_is_exchanged_at_the_registry():
    """Entra token, refresh token, access token; each fetched once."""
    headers = challenge("r.azurecr.io", "https://r.azurecr.io/oauth2/token", service="r.azurecr.io")
    fetched = [answer(body=b'{"refresh_token": "refresh-1"}'), answer(body=b'{"access_token": "access-1"}')]
    script = Script([answer(401, headers), *fetched, answer(), answer()])
    of = client(script, ENTRA, "r.azurecr.io")
    get(of)
    get(of)
    exchange, token = script.sent[1:3]
    assert exchange.url == "https://r.azurecr.io/oauth2/exchange"
    assert form(exchange) == {
        "grant_type": "access_token", "service": "r.azurecr.io", "tenant": "tenant-1", "access_token": "entra-1",
    }  # fmt: skip
    assert token.url == "https://r.azurecr.io/oauth2/token"
    assert form(token)["grant_type"] == "refresh_token"
    assert form(token)["scope"] == "repository:app:pull"
    assert form(token)["refresh_token"] == "refresh-1"
    assert script.sent[-1].headers["Authorization"] == "Bearer access-1"


def test_entra_token_may_be_exchanged_at_the_home_of_a_regional_endpoint():
    """Which the az side has derived from the name; and at no third host."""
    headers = challenge("", "https://r.azurecr.io/oauth2/token", service="r.azurecr.io")
    fetched = [answer(body=b'{"refresh_token": "r1"}'), answer(body=b'{"access_token": "a1"}'), answer()]
    script = Script([answer(401, headers), *fetched])
    get(client(script, dataclasses.replace(ENTRA, exchange="r.azurecr.io"), "r.eastus.geo.azurecr.io"))
    assert script.sent[1].url == "https://r.azurecr.io/oauth2/exchange"
    with pytest.raises(AuthError):
        get(client(Script([answer(401, headers)]), ENTRA, "r.eastus.geo.azurecr.io"))


def test_refresh_token_that_is_refused_is_exchanged_anew():
    """It may have been withdrawn while we were copying."""
    headers = challenge("r.azurecr.io", "https://r.azurecr.io/oauth2/token", service="r.azurecr.io")
    first = [answer(body=b'{"refresh_token": "r1"}'), answer(body=b'{"access_token": "a1"}'), answer()]
    second = [answer(body=b'{"refresh_token": "r2"}'), answer(body=b'{"access_token": "a2"}'), answer()]
    script = Script([answer(401, headers), *first, answer(401, headers), answer(401), *second])
    of = client(script, ENTRA, "r.azurecr.io")
    get(of)
    get(of)
    assert script.sent[-1].headers["Authorization"] == "Bearer a2"


def chain(*credentials: Credential) -> Credential:
    """The first, with the others behind it."""
    first, *others = credentials
    return dataclasses.replace(first, otherwise=lambda: chain(*others)) if others else first


HUB = challenge("r.azurecr.io", "https://r.azurecr.io/oauth2/token", service="r.azurecr.io")
LACKS = {**HUB, "WWW-Authenticate": HUB["WWW-Authenticate"] + ',error="insufficient_scope"'}
# what is answered, in this order, until somebody else is to be tried
NO_EXCHANGE = [(401, {}, b"")]
NO_RIGHT = [(200, {}, b'{"refresh_token": "r1"}'), (200, {}, b'{"access_token": "a1"}'), (401, LACKS, b"")]
NO_TOKEN = [(401, {}, b"")]
TOKEN = [(200, {}, b'{"access_token": "anyone"}')]


def script_of(*answers) -> Script:
    """After the first challenge."""
    return Script([answer(401, HUB), *(answer(*parts) for parts in answers)])


@pytest.mark.parametrize("refused", [NO_EXCHANGE, NO_RIGHT], ids=["the identity", "its right"])
def test_who_was_refused_is_followed_by_the_next(refused):
    """The Entra token, a password, nobody: whoever is let in reads, and the others' secrets are not sent again."""
    script = script_of(*refused, *NO_TOKEN, *TOKEN, (200,))
    assert get(client(script, chain(ENTRA, PASSWORD, ANONYMOUS), "r.azurecr.io")) == 200
    assert script.sent[-1].headers["Authorization"] == "Bearer anyone"
    assert "Authorization" not in script.sent[-2].headers


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([*NO_EXCHANGE, *NO_TOKEN, *NO_TOKEN], Unauthorized),
        ([*NO_RIGHT, *NO_TOKEN, *NO_TOKEN], Denied),
        ([*NO_RIGHT, *NO_TOKEN, *TOKEN, (401, LACKS)], Denied),
    ],
    ids=["by the token service", "by the registry first", "by the registry first and last"],
)
def test_end_of_a_chain_tells_the_first_refusal_and_all_that_was_tried(answers, kind):
    """That is the one that a person can mend; and the next request begins with the first again."""
    of = client(script_of(*answers), chain(ENTRA, PASSWORD, ANONYMOUS), "r.azurecr.io")
    with pytest.raises(kind) as caught:
        get(of)
    assert type(caught.value) is kind
    assert caught.value.mode == "az login identity, then user name and password, then anonymous"
    assert kind is Unauthorized or of.tokens.mode_for(PULL) == "az login identity"


def test_right_that_lacks_in_one_repository_changes_nothing_for_another():
    """Each is spoken for by the first whom it lets in."""
    other = (Scope.pull("other"),)
    script = script_of(*NO_RIGHT, *TOKEN, (200,), (200, {}, b'{"access_token": "a2"}'), (200,))
    of = client(script, chain(ENTRA, ANONYMOUS), "r.azurecr.io")
    get(of)
    get(of, other)
    assert [script.sent[n].headers["Authorization"] for n in (-3, -1)] == ["Bearer anyone", "Bearer a2"]
    assert (of.tokens.mode_for(PULL), of.tokens.mode_for(other)) == (
        "az login identity, then anonymous",
        "az login identity",
    )


@pytest.mark.parametrize(
    ("access", "lacking"),
    [
        ([{"type": "repository", "name": "app", "actions": ["pull", "push"]}], []),
        ([{"type": "repository", "name": "app", "actions": ["pull"]}], ["repository:app:push"]),
        ([{"type": "repository", "name": "other", "actions": ["pull", "push"]}], ["repository:app:pull,push"]),
        ([{"type": "repository", "name": "app", "actions": None}], ["repository:app:pull,push"]),
        ([], ["repository:app:pull,push"]),
        (None, []),
        ("nonsense", []),
        (["nonsense"], []),
    ],
    ids=range(8),
)
def test_token_tells_what_it_is_good_for(access, lacking):
    """ACR gives a token in any case; one that does not tell is believed until it is refused."""
    token = jwt(access=access, exp=1, iat=-600)
    script = Script(
        [answer(401, challenge("registry.test")), answer(body=json.dumps({"token": token}).encode()), answer()]
    )
    of = client(script)
    get(of, (Scope.push("app"),))
    assert [str(scope) for scope in of.tokens.lacks((Scope.push("app"),))] == lacking


@pytest.mark.parametrize(
    ("realm", "credential", "said"),
    [
        ("http://registry.test/token", PASSWORD, "not at an https address"),
        ("ftp://registry.test/token", PASSWORD, "not at an https address"),
        ("https://127.0.0.1/token", PASSWORD, "private address"),
        ("https://169.254.169.254/token", PASSWORD, "private address"),
        ("https://[::1]/token", PASSWORD, "private address"),
        ("https://other.test/token", ENTRA, "Entra token is not sent to https://other.test"),
    ],
)
def test_realm_that_must_not_be_asked(realm, credential, said):
    """Nothing is sent there."""
    script = Script([answer(401, challenge("registry.test", realm))])
    with pytest.raises(AuthError, match=said):
        get(client(script, credential))
    assert len(script.sent) == 1


def test_relative_realm_is_at_the_registry():
    """Resolved against the request."""
    script = Script([answer(401, challenge("registry.test", "/token")), answer(body=b'{"token": "t"}'), answer()])
    get(client(script))
    assert script.sent[1].url.startswith("https://registry.test/token?")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'{"token": 1}', b'{"token": "a b"}', b'{"token": "a\\nb"}']
)
def test_answer_without_a_token_is_an_error(body):
    """Of the sign-in, not of the program; a value that would break a header is none."""
    with pytest.raises(AuthError, match="without a token"):
        get(client(Script([answer(401, challenge("registry.test")), answer(body=body)])))


def test_registry_that_offers_no_known_way():
    """It is said which ways it offers."""
    with pytest.raises(AuthError, match="negotiate"):
        get(client(Script([answer(401, {"WWW-Authenticate": "Negotiate"})])))


def test_threads_share_one_token():
    """Single flight: eight threads, one token request."""
    lock = threading.Lock()
    fetched = []

    def registry(sent: Sent):
        if "/token" in sent.url:
            with lock:
                fetched.append(sent.url)
            return answer(body=b'{"token": "t1"}')
        return answer() if "Authorization" in sent.headers else answer(401, challenge("registry.test"))

    of = client(Script(registry))
    threads = [threading.Thread(target=get, args=(of,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1


def test_cached_token_waits_for_nobody():
    """While that of another repository is being fetched, and however many there are."""
    hanging, free = threading.Event(), threading.Event()

    def registry(sent: Sent):
        if "/token" in sent.url:
            if "other" in sent.url:
                hanging.set()
                assert free.wait(30)
            return answer(body=b'{"token": "t1"}')
        return answer() if "Authorization" in sent.headers else answer(401, challenge("registry.test"))

    of = client(Script(registry))
    get(of)
    thread = threading.Thread(target=get, args=(of, (Scope.pull("other"),)))
    thread.start()
    try:
        assert hanging.wait(30)
        assert get(of) == 200
        assert of.tokens.authorization(PULL) == "Bearer t1"
    finally:
        free.set()
        thread.join()


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [
        ({"token": "t", "expires_in": 300}, 300 - 45),
        ({"token": "t", "expires_in": 100_000}, 100_000 - 60),
        ({"token": "t"}, 60 - 9),
        ({"access_token": jwt(iat=1000, exp=1400)}, 400 - 60),
        ({"access_token": jwt(exp=1_000_000 + 4500)}, 4500 - 60),
        ({"token": "not.base64!.x"}, 60 - 9),
        ({"token": "t", "expires_in": "300"}, 60 - 9),
        ({"token": "t", "expires_in": -5}, 0),
    ],
    ids=range(8),
)
def test_token_ends_a_little_early(body, lifetime, monkeypatch):
    """By expires_in, else by the claims of a JWT, else after a minute; counted on our own clock."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    of = transport(Script([answer(body=json.dumps(body).encode())]))
    response = of.fetch("GET", "https://registry.test/token", accept={200})
    moment = [50.0]
    token = Token.from_answer(response, "token", "access_token", host="registry.test", clock=lambda: moment[0])
    assert token.expires_at == pytest.approx(50 + lifetime, abs=1)
    moment[0] = 50 + lifetime + 1
    assert token.expired


def test_refusal_without_a_word_has_none():
    """As ACR refuses a token: 401, no body, no challenge."""
    script = Script([answer(401, challenge("r.azurecr.io", "https://r.azurecr.io/oauth2/token")), answer(401)])
    with pytest.raises(Unauthorized) as caught:
        get(client(script, ENTRA, "r.azurecr.io"))
    assert (caught.value.text, caught.value.codes, caught.value.path) == ("", (), "/oauth2/exchange")


@pytest.mark.parametrize("error", ["", "insufficient_scope"])
def test_request_that_is_always_refused_ends(error):
    """With one newer token, also while others are let in."""
    parameters = {"error": error} if error else {}

    def answers(sent: Sent):
        if "/token" in sent.url:
            return answer(body=json.dumps({"token": f"t{len(script.sent)}"}).encode())
        of._admissions.count(let_in=1 if error else 0)
        return answer(401, challenge("registry.test", **parameters))

    script = Script(answers)
    of = client(script, PASSWORD)
    with pytest.raises((Unauthorized, Denied)):
        get(of)
    assert [sent.url.partition("?")[0].rpartition("/")[2] for sent in script.sent] == ["1", "token", "1"]
