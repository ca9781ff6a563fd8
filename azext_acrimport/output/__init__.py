# SPDX-License-Identifier: MIT
"""What people and scripts get: results and tables, the catalogue of what can go wrong and what to do then, az's
errors. The only package that knows az's error classes; it knows the engine, how amounts are written, and nothing
else of ours."""
