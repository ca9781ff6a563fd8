# SPDX-License-Identifier: MIT
"""The same cases on every machine: a failure in CI is a failure here."""

from hypothesis import HealthCheck, settings

settings.register_profile("acrimport", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("acrimport")
