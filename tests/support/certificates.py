"""A certificate authority of the test's own, and what it issues, as PEM files that the servers' user may read."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from mutt_appliance.supervisor.programs import run_as


@dataclass(frozen=True)
class Issued:
    """A certificate with its chain, and its private key."""

    cert: Path
    key: Path

    def server_context(self, client_ca: Path | None = None) -> ssl.SSLContext:
        """A server that shows it, and wants a certificate of `client_ca` where that is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if client_ca is not None:
            context.load_verify_locations(cafile=client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def replace_with(self, other: Issued) -> None:
        """Have the files of `other` in the place of these, as a renewal does."""
        self.cert.write_bytes(other.cert.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


class Authority:
    """Issues certificates into `folder`, which any user may enter; `ca` is the file others trust."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.ca = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))
        self.ca.chmod(0o644)

    def issue(
        self, file_name: str, *identities: str, common_name: str | None = None, valid_days: float = 30
    ) -> Issued:
        """A certificate for host names and addresses, ending `valid_days` from now (negative: it has ended).

        A second one of the same `file_name` replaces the first. PostgreSQL and Redis take keys only from
        their own user, so the files belong to the user that test servers run as.
        """
        ends = datetime.now(UTC) + timedelta(days=valid_days)
        made = self._authority.issue_cert(*identities, common_name=common_name, not_after=ends)
        issued = Issued(self.folder / f"{file_name}.pem", self.folder / f"{file_name}.key")
        issued.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        issued.key.write_bytes(made.private_key_pem.bytes())
        issued.key.chmod(0o600)
        issued.cert.chmod(0o644)
        run_as(None).own(issued.key)
        return issued
