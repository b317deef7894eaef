"""Builds and runs the two Go programs: the listmonk model, and TLS in front of the sink."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.installation import free_port
from bench.smtp_tools import Sent, wait_for
from bench.world import ATTRIBUTES_SQL, CITIES, World
from saas.cli.processes import HOST
from saas.content.types import EmailContent

NEEDS_GO: Final = "needs golang and golang-github-lib-pq-dev"
_HERE: Final = Path(__file__).parent
_GOPATH: Final = Path("/usr/share/gocode")
_TABLES: Final = """
    CREATE TABLE bench_subscriber (id serial PRIMARY KEY, uuid uuid NOT NULL UNIQUE, email text NOT NULL UNIQUE,
      attribs jsonb NOT NULL, status text NOT NULL);
    CREATE TABLE bench_subscription (subscriber_id int NOT NULL, list_id int NOT NULL, status text NOT NULL,
      PRIMARY KEY (subscriber_id, list_id));
    CREATE TABLE bench_campaign (id int PRIMARY KEY, last_subscriber_id int NOT NULL);
    INSERT INTO bench_campaign VALUES (1, 0);
"""
_FILL: Final = f"""
    INSERT INTO bench_subscriber (uuid, email, attribs, status)
    SELECT md5(g::text)::uuid, 'model-' || g || '@example.org', {ATTRIBUTES_SQL}, 'enabled'
    FROM generate_series(1, %(count)s) AS g
"""
# The loop and the conditions of `mail.liquid_content`.
_LIQUID_IN_GO: Final = (
    ('{% assign shops = "Oslo,Bergen,Paris,London" | split: "," %}', "{{ $city := .Attribs.city }}"),
    ("{% for shop in shops %}", "{{ range $i, $shop := Shops }}"),
    ("{{ forloop.index }}", "{{ $i }}"),
    ("{{ shop }}", "{{ $shop }}"),
    ("{% if shop == contact.city %} (yours){% endif %}", "{{ if eq $shop $city }} (yours){{ end }}"),
    ("{% endfor %}", "{{ end }}"),
    ("{% if contact.age > 40 %}", "{{ if gt .Attribs.age 40.0 }}"),
    ("{% else %}", "{{ else }}"),
    ("{% endif %}", "{{ end }}"),
)
_SUBSCRIBE: Final = "INSERT INTO bench_subscription SELECT id, 1, 'confirmed' FROM bench_subscriber"


@dataclass(frozen=True, slots=True)
class Model:
    """The built model, its tables filled."""

    program: Path
    folder: Path
    dsn: str
    world: World

    def send(self, port: int, content: EmailContent, *, messages: int) -> Sent:
        """Send a campaign to all subscribers. Raises RuntimeError when not all were sent."""
        with self.world.at.admin() as admin:
            admin.execute("UPDATE bench_campaign SET last_subscriber_id = 0")
        html, text = self.folder / "model.html", self.folder / "model.txt"
        html.write_text(in_go(content.html))
        text.write_text(in_go(content.text))
        command = (
            str(self.program), "-db", self.dsn, "-smtp", f"{HOST}:{port}", "-html", str(html), "-text", str(text),
            "-subject", in_go(content.subject),
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  our own words
        found = json.loads(done.stdout)
        if found["messages"] != messages:
            raise RuntimeError(f"the listmonk model sent {found['messages']} of {messages}")
        return Sent(messages / found["seconds"], found["cpu_s"] / messages * 1e6)


def build_model(world: World, *, subscribers: int) -> Model | None:
    """Build the listmonk model and fill its tables; None where Go or its driver is missing."""
    if not (_GOPATH / "src/github.com/lib/pq").is_dir():
        return None
    program = build("listmonk_model", world.at.home)
    if program is None:
        return None
    with world.at.admin() as admin:
        for table in ("bench_subscriber", "bench_subscription", "bench_campaign"):
            admin.execute(f"DROP TABLE IF EXISTS {table}")
        admin.execute(_TABLES)
        admin.execute(_FILL, {"count": subscribers, "cities": list(CITIES)})
        admin.execute(_SUBSCRIBE)
        admin.execute("VACUUM ANALYZE bench_subscriber, bench_subscription")
    return Model(program, program.parent, _dsn(world.at.admin_dsn), world)


def in_go(source: str) -> str:
    """Return one of our templates in Go's template language, with tracked links."""
    words = {"contact.first_name": ".Attribs.first_name", "contact.last_name": ".Attribs.last_name"}
    words |= {"contact.city": ".Attribs.city", "contact.plan": ".Attribs.plan", "unsubscribe_url": "UnsubscribeURL"}
    for ours, theirs in words.items():
        source = source.replace(f"{{{{ {ours} }}}}", f"{{{{ {theirs} }}}}")
    for number in range(100):
        url = f"https://shop.northwind.example/autumn/{number}?from=letter"
        source = source.replace(url, f'{{{{ TrackLink "{url}" }}}}')
    for ours, theirs in _LIQUID_IN_GO:
        source = source.replace(ours, theirs)
    return source


def build(name: str, home: Path) -> Path | None:
    """Build a Go program of ours; None where Go is missing."""
    if shutil.which("go") is None:
        return None
    target = home / "go" / name
    target.parent.mkdir(exist_ok=True)
    environ = {**os.environ, "GO111MODULE": "off", "GOPATH": str(_GOPATH), "GOCACHE": str(home / "go" / "cache")}
    source = _HERE / name / "main.go"
    subprocess.run(["go", "build", "-o", str(target), str(source)], check=True, env=environ)  # noqa: S603, S607
    return target


@contextmanager
def tls_front(home: Path, sink: int) -> Iterator[tuple[int, Path] | None]:
    """Run TLS in front of a sink; yields its port and the certificate to trust, None where Go is missing."""
    program = build("tls_front", home)
    if program is None:
        yield None
        return
    cert, key, port = home / "go" / "tls.crt", home / "go" / "tls.key", free_port()
    _certify(cert, key)
    command = (
        str(program), "-listen", f"{HOST}:{port}", "-target", f"{HOST}:{sink}", "-cert", str(cert), "-key", str(key)
    )  # fmt: skip
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  our own words
    try:
        wait_for(port)
        yield port, cert
    finally:
        child.kill()
        child.wait()


def _certify(cert: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)  # noqa: TID251  a certificate is valid by the wall clock
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address(HOST))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


def _dsn(url: str) -> str:
    """Return libpq's words for a URL of ours; the driver wants a socket's folder as host, and no TLS."""
    parts = sa.make_url(url)
    host = parts.host or parts.query.get("host", "")
    words = {"host": str(host), "user": parts.username, "password": str(parts.password), "dbname": parts.database}
    return " ".join(f"{name}={value}" for name, value in words.items()) + " sslmode=disable"
