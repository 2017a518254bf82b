"""PEM files: what is in them, and what is said of those that are of no use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mutt_appliance.config import ConfigError, Settings
from mutt_appliance.config.declaring import variable_name
from mutt_appliance.tls.files import PemFile, check_key, ends_of, names_of, read_certificates
from mutt_appliance.tls.inventory import INVENTORY, refuse_unusable
from tests.support.certificates import Authority, Issued


@pytest.fixture
def issued(authority: Authority) -> Issued:
    return authority.issue("door", "mutt.example.net", "*.mutt.example.net", "192.0.2.1", "2001:db8::1")


def cert(path: Path) -> PemFile:
    return PemFile("INGEST_TLS_CERT_PATH", path)


def key(path: Path) -> PemFile:
    return PemFile("INGEST_TLS_KEY_PATH", path)


def test_a_certificate_is_for_its_names_and_addresses(issued: Issued) -> None:
    first = read_certificates(cert(issued.cert))[0]
    assert names_of(first) == ("mutt.example.net", "*.mutt.example.net", "192.0.2.1", "2001:db8::1")


def test_of_several_certificates_the_first_to_end_counts(authority: Authority, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    parts = [authority.issue(f"d{days}", "localhost", valid_days=days).cert.read_bytes() for days in (30, 3)]
    both.write_bytes(b"".join(parts))
    three_days = ends_of(read_certificates(cert(authority.folder / "d3.pem")))
    assert ends_of(read_certificates(cert(both))) == three_days


def with_passphrase(issued: Issued, _: Authority) -> None:
    made = issued.key.with_suffix(".locked")
    command = ["openssl", "pkey", "-in", str(issued.key), "-aes256", "-passout", "pass:x", "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    issued.key.write_bytes(made.read_bytes())


def of_another(issued: Issued, authority: Authority) -> None:
    issued.key.write_bytes(authority.issue("other", "localhost").key.read_bytes())


def swapped(issued: Issued, _: Authority) -> None:
    issued.key.write_bytes(issued.cert.read_bytes())


def gone(issued: Issued, _: Authority) -> None:
    issued.key.unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (with_passphrase, "has a passphrase, which nobody would enter (openssl pkey"),
        (of_another, "is not the key of INGEST_TLS_CERT_PATH="),
        (swapped, "holds no private key that can be read"),
        (gone, "cannot be read: No such file or directory"),
    ],
)
def test_a_key_that_is_of_no_use_is_named_with_the_way_out(
    issued: Issued, authority: Authority, spoil: Callable[[Issued, Authority], None], told: str
) -> None:
    spoil(issued, authority)
    first = read_certificates(cert(issued.cert))[0]
    with pytest.raises(ConfigError) as caught:
        check_key(key(issued.key), first, cert(issued.cert))
    assert str(caught.value).startswith(f"INGEST_TLS_KEY_PATH={issued.key}: {told}")
    assert "PRIVATE KEY" not in str(caught.value).replace("BEGIN PRIVATE KEY", "")


def test_a_key_in_the_place_of_the_certificate_is_not_shown(issued: Issued) -> None:
    with pytest.raises(ConfigError, match="holds no certificate that can be read") as caught:
        read_certificates(cert(issued.key))
    assert issued.key.read_text().splitlines()[1][:20] not in str(caught.value)


def test_every_file_that_cannot_be_used_is_told_at_once(issued: Issued, tmp_path: Path) -> None:
    settings = Settings(
        ingest_tls_cert_path=issued.cert,
        ingest_tls_key_path=tmp_path / "no.key",
        webui_tls_cert_path=tmp_path / "no.pem",
        webui_tls_key_path=issued.key,
    )
    with pytest.raises(ConfigError) as caught:
        refuse_unusable(settings)
    assert [f.variable for f in caught.value.faults] == ["INGEST_TLS_KEY_PATH", "WEBUI_TLS_CERT_PATH"]


def test_the_inventory_has_every_setting_that_names_a_certificate_or_a_key() -> None:
    named = {field for entry in INVENTORY for field in (entry.field, entry.key_field) if field}
    endings = ("_CERT_PATH", "_CA_PATH", "_KEY_PATH")
    assert named == {f for f in Settings.model_fields if variable_name(f).endswith(endings)}
