# SPDX-License-Identifier: MIT
"""A registry over HTTP: the client of a host, and a repository as Source and Target, with blobs that are downloaded and
uploaded, lists of referrers, and what an Azure container registry tells beyond the specification.
"""
