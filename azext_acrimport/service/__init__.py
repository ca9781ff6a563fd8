# SPDX-License-Identifier: MIT
"""The registry's own import service (ARM's ``importImage``) as an engine: the request, its operation, the targets.

It does a job of ``job``, and what refers to the image follows; when it is chosen it does not know.
"""
