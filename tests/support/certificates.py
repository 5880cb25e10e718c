"""Throw-away certificates for ``shop.example``."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_pair(folder: Path, serial: int) -> tuple[Path, Path]:
    """Certificate and key in place of those there, as certbot does: both renamed over, one after the other."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    contents = {
        "cert.pem": certificate.public_bytes(pem),
        "key.pem": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
    }
    for file, content in contents.items():
        fresh = folder / f"{file}.new"
        fresh.write_bytes(content)
        fresh.chmod(0o600)
        os.replace(fresh, folder / file)
    return folder / "cert.pem", folder / "key.pem"


def serial_of(der: bytes) -> int:
    """The serial number of a certificate."""
    return x509.load_der_x509_certificate(der).serial_number
