# SPDX-License-Identifier: MIT
"""The wheel that ``az extension add`` installs. It declares no dependency: az brings all that the extension uses.

Its modules are those of the repository with blank lines in place of comments, docstrings and ``__all__``, a fifth of
its size, and with the types of no functions but the engine's public ones. Line numbers stay, so that a traceback names
lines of the repository. What the engine offers is still listed, and all of it but exceptions keeps its docstrings. The
license is told by the wheel as a whole.
"""

import ast
import io
import tokenize
import zlib
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

VERSION = "1.0.0b1"
URL = "https://github.com/acrimport/acrimport"
DESCRIPTION = "Azure CLI extension: import container images and OCI artifacts from any registry, without Docker"
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTION)
ENGINE = Path("azext_acrimport/engine")


# what packs a wheel asks for the default, and has no option for another level
zlib.Z_DEFAULT_COMPRESSION = zlib.Z_BEST_COMPRESSION


class BuildLean(build_py):
    """Writes each module without the words that only who changes it reads."""

    def build_module(self, module, module_file, package):
        """As ever, except where the checkout itself is what gets installed."""
        built = super().build_module(module, module_file, package)
        if not self.editable_mode:
            path = Path(module_file)
            shipped = lean(path.read_text("utf-8"), offered().get(path, ()), typed=ENGINE in path.parents)
            Path(built[0]).write_bytes(shipped.encode())
        return built


def offered():
    """Of the engine: the names that ``__init__`` imports, by the file that has them; "" is the module itself."""
    init = ENGINE / "__init__.py"
    # an exception says itself what has happened
    imports = [
        node
        for node in ast.parse(init.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module != "errors"
    ]
    files = [(ENGINE / f"{node.module.replace('.', '/')}.py", node.names) for node in imports]
    return {init: {""}} | {file: {name.name for name in names} for file, names in files}


def lean(text, names, typed):
    """The module without comments, ``__all__``, and docstrings but those of these names.

    ``typed``: whether public functions keep their types; no others do.
    """
    lines = text.split("\n")
    gone = [*comments(text), *docstrings(text, names), *types(text, typed), *([] if "" in names else offers(text))]
    for (first, start), (last, end), new in sorted(gone, reverse=True):
        rest = lines[last - 1][end:]
        lines[first - 1 : last] = [lines[first - 1][:start] + new] + [""] * (last - first)
        lines[last - 1] = (lines[last - 1] + rest).rstrip()
    return "\n".join(lines)


def comments(text):
    """Start and end of each comment, and nothing to stand in its place."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start, token.end, ""


def docstrings(text, names):
    """Start and end of each docstring that goes, and what stands in its place."""
    tree = ast.parse(text)
    named = [node for node in (tree, *tree.body) if isinstance(node, DOCUMENTED) and getattr(node, "name", "") in names]
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and node not in named and ast.get_docstring(node) is not None:
            yield *extent(node.body[0], text), instead(node)


def types(text, typed):
    """Start and end of each annotation of a function, but of public ones where typed, and nothing in its place."""
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTION) and not (typed and is_public(node.name)):
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg) and argument.annotation:
                    (line, column), end = extent(argument, text)
                    yield (line, column + len(argument.arg)), end, ""
            if node.returns:
                (line, column), end = extent(node.returns, text)
                yield (line, lines[line - 1].rindex(" ->", 0, column)), end, ""


def is_public(name):
    """Whether others may call it; Python calls those with two underscores."""
    return not name.startswith("_") or name.endswith("__")


def extent(node, text):
    """Its start and end as line and column in characters, while ``ast`` counts bytes."""
    lines = text.encode().split(b"\n")
    places = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    return [(line, len(lines[line - 1][:column].decode())) for line, column in places]


def offers(text):
    """Start and end of ``__all__``, and nothing to stand in its place."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset), ""


def instead(node):
    """What stands in the place of its docstring. A dataclass without one would make it up, at each start of az."""
    if any("dataclass" in ast.unparse(made) for made in getattr(node, "decorator_list", ())):
        return '"-"'
    return "..." if len(node.body) == 1 and not isinstance(node, ast.Module) else ""


setup(
    name="acrimport",
    version=VERSION,
    description=DESCRIPTION,
    long_description=f"""{DESCRIPTION}.

    az extension add --source acrimport-{VERSION}-py3-none-any.whl --yes
    az acr import --name myregistry --source docker.io/library/hello-world:latest

It makes `az acr import` a complete tool, adds `az acr import-batch` for many images, and needs az 2.70 or later.
Its pages: {URL}
""",
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    author="The acrimport authors",
    url=URL,
    python_requires=">=3.10",
    packages=find_packages(include=["azext_acrimport*"]),
    cmdclass={"build_py": BuildLean},
    package_data={"azext_acrimport": ["azext_metadata.json", "py.typed", "batch/schema.json"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "License :: OSI Approved :: MIT License",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: System :: Software Distribution",
        "Typing :: Typed",
    ],
)
