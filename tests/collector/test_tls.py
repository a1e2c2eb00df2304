"""HTTPS, and what is wrong with certificates."""

import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from collector.listener import tls
from collector.settings import SslSettings
from shared.process import Misconfigured
from tests.certificates import self_signed
from tests.collector.running import collector, plain


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"collector.ssl: the certificate .*absent.pem with the key .*key.pem"):
        tls(SslSettings(enable=True, certificate_file=tmp_path / "absent.pem", key_file=tmp_path / "key.pem"))


def test_a_key_with_a_password_is_not_asked_for_at_the_terminal(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    locked = tmp_path / "locked.pem"
    command = ["openssl", "rsa", "-aes128", "-passout", "pass:secret", "-in", str(key), "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    files = {"enable": True, "certificate_file": certificate, "key_file": locked}
    with pytest.raises(Misconfigured, match=r"locked.pem has a password: set collector.ssl.key_password"):
        tls(SslSettings.model_validate(files))
    with pytest.raises(Misconfigured, match="can't be used"):
        tls(SslSettings.model_validate(files | {"key_password": "wrong"}))
    assert tls(SslSettings.model_validate(files | {"key_password": "secret"}))


async def test_https_with_certificate_files(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    https = {"enable": True, "port": 0, "certificate_file": certificate, "key_file": key}
    async with collector(plain(ssl=https)) as running:
        context = ssl.create_default_context(cafile=str(certificate))
        port = running.ports[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://localhost:{port}/i?e=pv", ssl=context) as response,
        ):
            assert response.status == 200
        assert len(running.publisher.payloads()) == 1
