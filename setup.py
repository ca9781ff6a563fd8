# SPDX-License-Identifier: MIT
"""The wheel that ``az extension add`` installs. It declares no dependency: az brings all that the extension uses."""

from pathlib import Path

from setuptools import find_packages, setup

VERSION = "1.0.0b1"
here = Path(__file__).parent

setup(
    name="acrimport",
    version=VERSION,
    description="Azure CLI extension: import container images and OCI artifacts from any registry, without Docker",
    long_description=(here / "README.md").read_text("utf-8") + "\n\n" + (here / "HISTORY.rst").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    author="The acrimport authors",
    python_requires=">=3.10",
    packages=find_packages(include=["azext_acrimport*"]),
    package_data={"azext_acrimport": ["azext_metadata.json", "batch/schema.json"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
