# SPDX-License-Identifier: GPL-2.0-or-later
"""Wheels of a few hundred bytes, and a package index on the loopback that can be made to misbehave."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
import time
import zipfile
from pathlib import Path

import trustme


def make_wheel(folder: Path, name: str, code: str = "value = 1\n", version: str = "1.0", padding: int = 0) -> Path:
    """Writes a wheel with one module, and as many bytes beside it as ``padding`` says."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if padding:
        files[f"{name}_data.txt"] = "x" * padding
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


class Index(http.server.ThreadingHTTPServer):
    """A package index over a folder of wheels, by https, whose certificate nobody trusts who is not told to.

    Attributes:
        certificates: File that makes it trusted.
        fault: What goes wrong with files: none, dies (closes half-way), corrupt, slow (a byte now and then).
        asked: Names of the files that were asked for.
    """

    daemon_threads = True

    def __init__(self, wheels: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        authority = trustme.CA()
        self.certificates = wheels.parent / "authority.pem"
        authority.cert_pem.write_to_path(str(self.certificates))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.wheels = wheels
        self.fault = ""
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that does not trust us breaks off."""

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}/simple"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        name = self.path.rstrip("/").rpartition("/")[2]
        if self.path.startswith("/files/"):
            self._send_file(self.server.wheels / name)
            return
        found = sorted(self.server.wheels.glob(f"{name.replace('-', '_')}-*.whl"))
        links = (f'<a href="/files/{file.name}#sha256={_digest(file)}">{file.name}</a>' for file in found)
        self._answer(200 if found else 404, "text/html", f"<html><body>{''.join(links)}</body></html>".encode())

    def _send_file(self, file: Path) -> None:
        self.server.asked.append(file.name)
        content = file.read_bytes()
        if self.server.fault == "corrupt":
            content = content[:-10] + b"0123456789"
        if self.server.fault not in ("dies", "slow"):
            self._answer(200, "application/octet-stream", content)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        if self.server.fault == "slow":
            for number in range(600):
                self.wfile.write(content[len(content) // 2 + number :][:1])
                self.wfile.flush()
                time.sleep(0.1)
        self.close_connection = True

    def _answer(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.path.startswith("/files/"):
            self.send_header("Cache-Control", "max-age=365000000, immutable, public")  # as the real index does
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the tests' output is not for this."""


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
