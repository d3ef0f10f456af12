"""An authority that signs certificates of tests, of any name and for any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; `cafile` is what a client must trust to believe them."""

    directory: Path
    key: _Key
    certificate: x509.Certificate

    @property
    def cafile(self) -> Path:
        return self.directory / "authority.pem"

    def server(self, *names: str, ended_ago: timedelta = timedelta(days=-1)) -> SSLContext:
        """Give what a server of these names or addresses shows; it is valid until `ended_ago`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(key, names, self.certificate.subject, self.key, ended_ago)
        return _context(self.directory, certificate, key)


def make_authority(directory: Path) -> Authority:
    """Make an authority that keeps its files in a directory."""
    directory.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key, (), _name("an authority"), key, timedelta(days=-1), authority=True)
    authority = Authority(directory, key, certificate)
    authority.cafile.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return authority


def self_signed(directory: Path, name: str) -> SSLContext:
    """Give what a server shows that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(key, (name,), _name(name), key, timedelta(days=-1))
    return _context(directory, certificate, key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign(
    key: _Key,
    names: Sequence[str],
    issuer: x509.Name,
    issuer_key: _Key,
    ended_ago: timedelta,
    *,
    authority: bool = False,
) -> x509.Certificate:
    end = datetime.now(UTC) - ended_ago
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(names[0]) if names else issuer)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _context(directory: Path, certificate: x509.Certificate, key: _Key) -> SSLContext:
    pem = directory / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
