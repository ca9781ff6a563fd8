# SPDX-License-Identifier: MIT
"""The sentences of the program, each of them read: what nobody would say is not said."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "azext_acrimport"
# each of these stood in a sentence once, and was stumbled over
NEVER = re.compile(r"It said|It last said|vouch|\b[Mm]end\b|works since|\w\(s\)(?! ')|(?<!sha256-)…(?!\{)")


def sentences(path: Path) -> list[str]:
    """Texts of a module that are not for its readers; two words at least."""
    tree = ast.parse(path.read_text("utf-8"))
    bodies = [node.body for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list)]
    for_readers = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in for_readers]
    return [node.value for node in texts if isinstance(node.value, str) and " " in node.value.strip()]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_sentences_can_be_read_aloud(path):
    """No literal ellipsis for a person to fill in, no brackets for a plural, no words that need thought."""
    assert not [text for text in sentences(path) if NEVER.search(text)]
