# SPDX-License-Identifier: MIT
"""Signing in to a registry: what it asks for (challenge, scope), who we are (credential), and the tokens that come of
it. Knows ``transport``, and nothing of what is asked with the tokens.
"""
