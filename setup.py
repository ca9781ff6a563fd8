# SPDX-License-Identifier: MIT
"""The wheel that ``az extension add`` installs. It declares no dependency: az brings all that the extension uses."""

from setuptools import find_packages, setup

VERSION = "1.0.0b1"
URL = "https://github.com/acrimport/acrimport"
DESCRIPTION = "Azure CLI extension: import container images and OCI artifacts from any registry, without Docker"

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
