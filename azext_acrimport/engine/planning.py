# SPDX-License-Identifier: MIT
"""From requests to a plan. Many questions are under way at once: the calling thread asks and judges, workers carry.

No blob is touched, and nothing is written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from .cancellation import Cancellation
from .errors import EngineError
from .places import BlobPlaces
from .plan import CopyBlob, CopyPlan, CopyRequest, Graph, PlanItem
from .pool import Done, Pool
from .question import Question, Questions, answer_of
from .report import Outcome
from .walk import Walk

__all__ = ["Planning", "make_plan", "survey"]


class Planning:
    """Many walks at once, each at its own pace: none waits for the answers to another one's questions.

    So many that no job is idle, and no more: else all would ask one side first, and then all the other. ``open``: how
    many have not ended. ``plan`` holds the steps of those that were added.
    """

    def __init__(self, requests: Sequence[CopyRequest], pool: Pool, places: BlobPlaces | None = None) -> None:
        # of many images, the first asks both sides at once, so that both let us in meanwhile
        self._walks = [Walk(number, request, frugal=number > 0) for number, request in enumerate(requests)]
        self.plan = CopyPlan(tuple(walk.item for walk in self._walks), places or BlobPlaces())
        self.open = len(self._walks)
        self._graph = Graph(self.plan)
        self._pool = pool
        self._waiting = iter(self._walks)
        self._asked = [0 for _ in self._walks]
        self._heard: list[list[tuple[Question, Done]]] = [[] for _ in self._walks]

    def begin(self) -> None:
        """Ask the first questions."""
        for walk in itertools.islice(self._waiting, 2 * self._pool.jobs):
            self._ask(walk.first())

    def hear(self, done: Done) -> Walk | None:
        """Take in an answer, and ask what follows from it; the walk that has ended with it. Raises what is a bug."""
        _refuse_bugs(done)
        number: int = done.key.number
        self._heard[number].append((done.key, done))
        if len(self._heard[number]) < self._asked[number]:
            return None
        answers, self._heard[number], self._asked[number] = self._heard[number], [], 0
        self._ask(self._walks[number].hear(answers))
        if self._asked[number]:
            return None
        self.open -= 1
        for walk in itertools.islice(self._waiting, 1):
            self._ask(walk.first())
        return self._walks[number]

    def add(self, walk: Walk) -> None:
        """Put the steps of a walk that has ended into the plan, and into its item."""
        if walk.root and walk.item.result.status == "planned":
            self._graph.add(walk.item, walk.root.digest, walk.present)
            if walk.settled and not walk.item.steps:
                walk.item.result.status = "unchanged"

    def complete(self, cancellation: Cancellation) -> CopyPlan:
        """To the end of all walks; their steps in the order of the requests."""
        self.begin()
        while self.open:
            cancellation.check()
            for done in self._pool.wait(0.2):
                cancellation.check()
                self.hear(done)
        for walk in self._walks:
            self.add(walk)
        return self.plan

    def _ask(self, questions: Questions) -> None:
        for question, work in questions.items():
            self._pool.submit(question, work)
            self._asked[question.number] += 1


def make_plan(
    requests: Sequence[CopyRequest], pool: Pool, cancellation: Cancellation, places: BlobPlaces | None = None
) -> CopyPlan:
    """Find out all that must be done. A request that cannot be planned carries its error in its item's result."""
    return Planning(requests, pool, places).complete(cancellation)


def survey(plan: CopyPlan, pool: Pool, cancellation: Cancellation) -> None:
    """For a dry run: ask the target for each blob, and tally in the items' results what would happen."""
    copies = [step for step in plan.blobs if isinstance(step, CopyBlob)]
    asked = {
        Question(number, "blob", step.target, descriptor=step.descriptor): _has_blob(plan, step)
        for number, step in enumerate(copies)
    }
    answers = {copies[question.number]: done for question, done in _ask(asked, pool, cancellation)}
    counted: set[object] = set()
    for item in plan.items:
        try:
            _tally(item, plan, answers, counted)
        except EngineError as error:
            item.result.error = error
            item.result.status = "failed"


def _tally(item: PlanItem, plan: CopyPlan, answers: dict[CopyBlob, Done], counted: set[object]) -> None:
    """A blob that several images need is counted with the first; for the others it will be there."""
    for step in plan.blobs:
        if step not in item.steps:
            continue
        outcome: Outcome = "copied" if isinstance(step, CopyBlob) else "mounted"
        if step in counted or (isinstance(step, CopyBlob) and answer_of(answers[step])):
            outcome = "existing"
        counted.add(step)
        item.result.blobs.add(outcome, 1)
        item.result.bytes.add(outcome, step.descriptor.size)


def _has_blob(plan: CopyPlan, step: CopyBlob) -> Callable[[], bool]:
    return lambda: plan.targets[step.target].has_blob(step.descriptor)


def _ask(works: Questions, pool: Pool, cancellation: Cancellation) -> list[tuple[Question, Done]]:
    """All answers, in the order in which they came. Raises Cancelled, and whatever is no EngineError."""
    answers: list[tuple[Question, Done]] = []
    questions = list(works)
    for number, question in enumerate(questions):
        pool.submit(number, works[question])
    while len(answers) < len(works):
        cancellation.check()
        answers += [(questions[done.key], done) for done in pool.wait(0.2)]
    for _, done in answers:
        _refuse_bugs(done)
    cancellation.check()
    return answers


def _refuse_bugs(done: Done) -> None:
    if done.error is not None and not isinstance(done.error, EngineError):
        raise done.error
