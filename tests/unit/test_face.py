# SPDX-License-Identifier: MIT
"""What the engine shows to the outside, and that it needs no az for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from azext_acrimport import engine

ROOT = Path(__file__).parent.parent.parent

PUBLIC = """
    ANONYMOUS Ahead Attachment AuthError BlobPlaces BlobUnknown Blocked Body Cancellation Cancelled Change ContentError
    CopyReport CopyRequest Credential CredentialError CredentialProvider Denied Descriptor Destination Digest
    DigestMismatch Disallowed EngineError Firewall Greeting InvalidReference ItemResult LayoutError LayoutReference
    ListingError Manifest ManifestError NetworkError NoMatchingPlatform NotFound Origin Planned Platform Progress Quota
    QuotaSpent RateLimited
    Reference RegistryClient RegistryError RegistryHints RegistryRepository Rejected RetryPolicy ServerError Source
    TagConflict TagPage Tally Target TimedOut TlsError TooLarge Transport TransportOptions Truncated
    Unauthorized UnsupportedManifest UploadLost Wait copy_images foreign_text greet is_loopback is_registry_host
    list_repositories list_tags network_error open_location parse_location
    parse_repository_tag prepare redact_url
""".split()


def test_public_names_are_these():
    """A name that comes or goes is a decision."""
    assert engine.__all__ == PUBLIC
    assert all(hasattr(engine, name) for name in PUBLIC)


def test_engine_is_imported_without_az():
    """Neither azure nor knack can be imported in that process, and nothing tries."""
    program = (
        "import sys\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('azure', 'knack', 'msrest', 'msal'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "import azext_acrimport.engine\n"
        "print('requests' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_every_error_has_a_code_of_its_own_kind():
    """Kebab-case; the side comes first where there is one."""
    kinds = {kind for kind in vars(engine).values() if isinstance(kind, type) and issubclass(kind, engine.EngineError)}
    slugs = [kind.slug for kind in kinds]
    assert len(slugs) == len(set(slugs))
    assert all(slug == slug.lower() and " " not in slug and "_" not in slug for slug in slugs)
    assert engine.NotFound("r.test", origin="source").code == "source-not-found"
