# SPDX-License-Identifier: GPL-2.0-or-later
"""Proxy and certificates for whatever is downloaded; QGIS's own settings come in here. Standard library only."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import urllib.request

from .commands import hide_secrets


@dataclass(frozen=True)
class Network:
    """How to reach the network; the empty texts leave it to the system's variables.

    Attributes:
        proxy: Address of the proxy, with user and password if it wants them, e.g. http://proxy:8080.
        no_proxy: Hosts that are reached directly, separated by commas.
        certificates: File with the trusted certificates (PEM), or None for the system's.
    """

    proxy: str = ""
    no_proxy: str = ""
    certificates: Path | None = None

    def variables(self) -> dict[str, str]:
        """Environment variables that tell this to pip and to Python."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")  # Python reads the small ones first
        found = dict.fromkeys(names, self.proxy) if self.proxy else {}
        if self.proxy and self.no_proxy:
            found.update({"NO_PROXY": self.no_proxy, "no_proxy": self.no_proxy})
        if self.certificates:
            file = str(self.certificates)
            found.update({"PIP_CERT": file, "SSL_CERT_FILE": file, "REQUESTS_CA_BUNDLE": file})
        return found

    def opener(self) -> urllib.request.OpenerDirector:
        """What opens addresses this way."""
        import urllib.request  # nearly half of the plugin's import time, and seldom needed

        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        context = ssl.create_default_context(cafile=str(self.certificates) if self.certificates else None)
        return urllib.request.build_opener(urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context))

    def describe(self) -> str:
        """One line for people, without passwords."""
        proxy = f"proxy {hide_secrets(self.proxy)}" if self.proxy else "no proxy set in QGIS"
        return f"{proxy}; certificates of {self.certificates}" if self.certificates else proxy
