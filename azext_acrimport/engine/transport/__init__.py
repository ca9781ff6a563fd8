# SPDX-License-Identifier: MIT
"""HTTP as registries need it: connections, the one retry layer, redirects and the addresses that they may lead to,
answers of bounded size, and what an answer that was not wanted means. The only package that imports ``requests``;
knows content only as bytes that are sent.
"""
