# SPDX-License-Identifier: MIT
"""Waiting for an operation of Azure Resource Manager, answer by answer, by a clock that no test waits for."""

from __future__ import annotations

import email.utils
from types import SimpleNamespace

import pytest
from azure.core.exceptions import DecodeError, HttpResponseError, IncompleteReadError, ServiceRequestError

from azext_acrimport.output import errors
from azext_acrimport.output.service_error import ServiceError
from azext_acrimport.registries import arm, deadline
from azext_acrimport.registries.deadline import Deadline
from azext_acrimport.service import operation
from azext_acrimport.service.wait import wait_for

ARM = "https://management.azure.com/subscriptions/s/providers/P/locations/L"
URL = f"{ARM}/operationResults/registries-1?t=0"


class Clock:
    """Goes on by what is slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    time = monotonic

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """In place of the real one."""
    clock = Clock()
    monkeypatch.setattr(operation, "time", clock)
    monkeypatch.setattr(deadline, "time", clock)
    monkeypatch.setattr(arm, "time", clock)
    return clock


class Arm:
    """Answers by a script: (status, headers, body), or an exception. Keeps what was asked."""

    endpoint = "https://management.azure.com/"

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def get(self, url):
        self.asked.append(url)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Service:
    """importImage by a script: a status with headers, or an exception."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)

    def ask(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        response = SimpleNamespace(status_code=answer[0], headers=answer[1], reason="")
        if response.status_code >= 400:
            raise HttpResponseError("refused", response=response)
        return response


RUNS = (202, {"Retry-After": "7"}, '{"status":"Accepted"}')
DONE = (200, {}, '{"status":"Succeeded"}')
CUT = IncompleteReadError("cut off")


def wait(arm: Arm, timeout: float | None = None) -> tuple[dict, list[str]]:
    """Its last answer, and what was told meanwhile."""
    told: list[str] = []
    return operation.Operation(arm, URL).wait(Deadline(timeout), told.append), told


@pytest.mark.parametrize(
    ("answers", "slept"),
    [
        ([DONE], []),
        ([(200, {}, "")], []),
        ([(200, {}, "null")], []),
        ([(204, {}, "")], []),
        ([RUNS, RUNS, DONE], [7, 7]),
        ([(202, {}, ""), (202, {}, "null"), (202, {}, "[1"), DONE], [10, 10, 10]),
        ([(202, {"Retry-After": "soon"}, ""), (202, {"Retry-After": "nan"}, ""), DONE], [10, 10]),
        ([(202, {"Retry-After": "-5"}, ""), (202, {"Retry-After": "99999"}, ""), DONE], [1, 60]),
        ([(202, {"Retry-After": "0"}, ""), (202, {"Retry-After": email.utils.formatdate(970.0)}, ""), DONE], [1, 10]),
        ([(202, {"Retry-After": email.utils.formatdate(1030.0)}, ""), DONE], [30]),
        ([(429, {"Retry-After": "20"}, ""), (503, {}, ""), DONE], [20, 10]),
        ([ServiceRequestError("no way"), CUT, HttpResponseError("odd"), DecodeError("odd"), DONE], [10] * 4),
        ([(200, {"Retry-After": "3"}, '{"status":"InProgress"}'), (200, {}, '{"status":"Creating"}'), DONE], [3, 10]),
        ([(200, {}, "<html>Sign in to WiFi</html>"), (200, {}, "[]"), (200, {}, '{"error":"login"}'), DONE], [10] * 3),
        ([DecodeError("odd", response=SimpleNamespace(status_code=200, headers={}, reason="")), DONE], [10]),
    ],
    ids=range(15),
)
def test_it_is_waited_for_its_end(clock, answers, slept):
    """As long as each answer asks; one that is cut off, or says nothing, is no end."""
    wait(Arm(*answers))
    assert clock.slept == pytest.approx(slept)


@pytest.mark.parametrize(
    "text",
    [
        "https://[::1",
        "https://[evil]/subscriptions/s/operationResults/r",
        "https://management.azure.com",
        "//",
        "\x00",
        "https://management.azure.com:x/subscriptions/s/operationStatuses/r",
        "https://evil.test/subscriptions/s/operationStatuses/r",
        "https://management.azure.com@evil.test/subscriptions/s/operationStatuses/r",
    ],
)
def test_address_that_is_no_operation_is_wrong_usage(text):
    """In words, with what to give instead; nothing is asked there."""
    cli_ctx = SimpleNamespace(
        cloud=SimpleNamespace(endpoints=SimpleNamespace(resource_manager="https://management.azure.com/"))
    )
    with pytest.raises(ValueError, match="is not an operation of") as caught:
        wait_for(cli_ctx, text, None, None, None)
    assert len(caught.value.args) == 2


def test_newest_address_is_asked(clock):
    """By either header, relative or not; and never at another host, whatever is said."""
    arm = Arm(
        (202, {"Location": f"{ARM}/operationResults/registries-1?t=1"}, ""),
        (202, {"Azure-AsyncOperation": f"{ARM}/operationStatuses/registries-1?t=2", "Location": f"{ARM}/x"}, ""),
        (202, {"Location": "/subscriptions/s/operationResults/registries-1?t=3"}, ""),
        (202, {"Location": "https://evil.example.org/operationResults/registries-1?t=4"}, ""),
        (202, {"Location": "http://management.azure.com/operationResults/registries-1?t=5"}, ""),
        (202, {"Location": "https://[::1/operationResults/registries-1?t=6"}, ""),
        (202, {}, ""),
        DONE,
    )
    wait(arm)
    assert [url.rpartition("=")[2] for url in arm.asked] == ["0", "1", "2", "3", "3", "3", "3", "3"]
    assert all(url.startswith("https://management.azure.com/") for url in arm.asked)


def test_states_of_tags_are_told(clock):
    """What the service says of each one."""
    _, told = wait(Arm((202, {}, '{"app:1":"Pending","status":"Accepted"}'), (429, {}, ""), DONE))
    assert told == ["Accepted, app:1 Pending", "it answered 429"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, {}, '{"error":{"code":"InvalidParameters","message":"Error copying blobs"}}'), "arm-copy-failed"),
        ((200, {}, '{"status":"Failed","error":{"code":"X","message":"Error copying blobs"}}'), "arm-copy-failed"),
        ((200, {}, '{"status":"Canceled"}'), "arm-unknown"),
        ((404, {}, "<html>gone</html>"), "arm-unknown"),
        ((503, {}, ""), "arm-unreachable"),
        ((200, {}, "<html>Sign in to WiFi</html>"), "arm-unreachable"),
        ((429, {}, ""), "arm-throttled"),
        (CUT, "arm-unreachable"),
    ],
)
def test_bad_ends(clock, answer, code):
    """In the body or in the status; and when the last of many tries has failed, that is the end of the waiting."""
    with pytest.raises(ServiceError) as caught:
        wait(Arm(answer))
    assert caught.value.code == code
    assert caught.value.origin == "arm"


@pytest.mark.parametrize(
    ("answer", "goes_on"),
    [
        ((404, {}, ""), True),
        ((401, {}, '{"error":{"code":"ExpiredAuthenticationToken","message":"x"}}'), True),
        ((403, {}, "<html>"), True),
        ((404, {}, '{"error":{"code":"ImageNotFound","message":"x"}}'), False),
        ((200, {}, '{"status":"Failed"}'), False),
    ],
)
def test_refused_question_is_not_the_end_of_the_import(clock, answer, goes_on):
    """It can be waited for again: the address is said."""
    with pytest.raises(ServiceError) as caught:
        wait(Arm(RUNS, answer))
    assert caught.value.operation == (URL if goes_on else "")
    assert ("az acr import-wait" in errors.to_json(caught.value)["recommendation"]) is goes_on


def test_time_is_kept(clock):
    """To the second: the last pause is only as long as there is time."""
    with pytest.raises(ServiceError) as caught:
        wait(Arm(RUNS), timeout=10)
    assert caught.value.code == "arm-timeout"
    assert clock.slept == [7, 3]
    assert f"az acr import-wait --operation '{URL}'" in errors.to_json(caught.value)["recommendation"]


def begin(service: Service, timeout: float | None = None, quiet: arm.Quiet | None = None) -> operation.Operation:
    """Ask it."""
    return operation.begin(service.ask, Arm(DONE), Deadline(timeout), quiet or arm.Quiet())


BUSY = (429, {"Retry-After": "5"})


def test_import_is_begun_when_there_is_room(clock):
    """As long as it is asked to wait; and an import that has ended already is not waited for."""
    operation = begin(Service(BUSY, (503, {}), (202, {"Location": URL})))
    assert (operation.url, clock.slept) == (URL, [5, 10])
    assert begin(Service((200, {}))).wait(Deadline(), lambda said: None) == {}


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"Location": "/subscriptions/s/x?y=z"}, "https://management.azure.com/subscriptions/s/x?y=z"),
        ({"Location": "https://MANAGEMENT.azure.com:443/x"}, "https://management.azure.com/x"),
        ({"Azure-AsyncOperation": URL}, URL),
        ({"Location": URL, "Azure-AsyncOperation": "https://management.azure.com/other"}, URL),
    ],
)
def test_where_it_is_asked_for(clock, headers, url):
    """In whatever form Azure names its own address, and by whichever header."""
    assert begin(Service((202, headers))).url == url


@pytest.mark.parametrize(
    "location", ["https://r.test/x", "//r.test/x", "http://management.azure.com/x", "https://[r/", "https://x:y/"]
)
def test_token_goes_to_azure_alone(clock, location):
    """What the first answer names is no more trusted than what later ones do."""
    with pytest.raises(ServiceError, match="not Azure's"):
        begin(Service((202, {"Location": location})))


def test_page_in_the_place_of_azure_has_begun_nothing(clock):
    """It would else be an import that had ended at once."""
    with pytest.raises(ServiceError, match="Something else answered") as caught:
        begin(Service((200, {"Content-Type": "text/html; charset=utf-8"})))
    assert caught.value.code == "arm-unreachable"


def test_whoever_forgets_to_look_shows_the_token_to_nobody():
    """It is looked at once more where it is asked; and nothing is made for it."""
    endpoints = SimpleNamespace(resource_manager="https://management.azure.com/")
    with pytest.raises(ValueError, match=r"evil\.test"):
        arm.Arm(SimpleNamespace(cloud=SimpleNamespace(endpoints=endpoints)), None).get("https://evil.test/x")


def test_who_is_told_to_wait_waits_for_all(clock):
    """It counts the requests of one identity, whichever image they are for."""
    quiet = arm.Quiet()
    quiet.ask_for(20)
    begin(Service(BUSY, (202, {"Location": URL})), quiet=quiet)
    begin(Service((202, {"Location": URL})), quiet=quiet)
    assert clock.slept == [20, 5]


@pytest.mark.parametrize(
    ("answer", "timeout", "code", "pauses"),
    [
        (BUSY, None, "arm-throttled", 7),
        (BUSY, 12, "arm-throttled", 2),
        (ServiceRequestError("no way"), None, "arm-unreachable", 0),
    ],
)
def test_import_that_cannot_be_begun(clock, answer, timeout, code, pauses):
    """The service's own limit is not the source's."""
    with pytest.raises(ServiceError) as caught:
        begin(Service(answer), timeout)
    assert (caught.value.code, len(clock.slept)) == (code, pauses)


def test_refusal_is_not_tried_again(clock):
    """Nor is a failure after which the import may have begun."""
    for status in (400, 403, 409, 500, 504):
        with pytest.raises(HttpResponseError):
            begin(Service((status, {"Retry-After": "5"})))
    assert not clock.slept
