# SPDX-License-Identifier: GPL-2.0-or-later
"""QGIS's settings of proxy and certificates, in the form that the installer takes. Must be called in the main thread or a task."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyFactory, QNetworkProxyQuery

from ..backend.errors import ToolboxError
from ..backend.runtime.places import home_folder
from ..backend.runtime.setup.network import Network

_CERTIFICATES = "certificates.pem"
_ADDRESS = "https://download.pytorch.org"  # asked for the proxy that the system uses for it


def read_network() -> Network:
    """Proxy and certificates as QGIS is set.

    Raises:
        ToolboxError: QGIS is set to a SOCKS proxy, which pip cannot use.
    """
    settings = QgsSettings()
    proxy = _find_proxy(settings)
    address, excluded = "", ""
    if proxy is not None and proxy.hostName():
        if proxy.type() == QNetworkProxy.ProxyType.Socks5Proxy:
            raise ToolboxError(
                f"QGIS is set to the SOCKS proxy {proxy.hostName()}, which the installer cannot use: set an HTTP proxy (Settings → "
                "Options → Network), or install from a folder of wheels."
            )
        address = _format_address(proxy)
        # The first are reached without any proxy, the second by the system's, which pip cannot tell apart.
        urls = [url for key in ("proxy/noProxyUrls", "proxy/proxyExcludedUrls") for url in settings.value(key, [], type=list)]
        excluded = ",".join(_bare_host(url) for url in urls if url)
    return Network(address, excluded, _export_certificates())


def describe_network() -> str:
    """The settings in a line for people, without passwords."""
    try:
        return read_network().describe()
    except ToolboxError as failure:
        return str(failure)


def _find_proxy(settings: QgsSettings) -> QNetworkProxy | None:
    if not settings.value("proxy/proxyEnabled", False, type=bool):
        return None
    if settings.value("proxy/proxyType", "", type=str) == "DefaultProxy":
        found = QNetworkProxyFactory.systemProxyForQuery(QNetworkProxyQuery(QUrl(_ADDRESS)))
        return found[0] if found else None
    # Not read from the settings: QGIS also knows the password that an authentication configuration holds.
    return QgsNetworkAccessManager.instance().fallbackProxy()


def _format_address(proxy: QNetworkProxy) -> str:
    url = QUrl()
    url.setScheme("http")
    url.setHost(proxy.hostName())
    if proxy.port():
        url.setPort(proxy.port())
    if proxy.user():
        url.setUserName(proxy.user())
        url.setPassword(proxy.password())
    return bytes(url.toEncoded()).decode("ascii")


def _bare_host(text: str) -> str:
    """The host of an address that is reached directly; QGIS wants whole addresses, Python hosts."""
    return QUrl(text).host() or text


def _export_certificates() -> Path | None:
    """A file with all trusted certificates if the user has given QGIS some beside the system's, else None."""
    manager = QgsApplication.authManager()
    if manager.isDisabled() or not (manager.extraFileCAs() or manager.databaseCAs()):
        return None
    path = home_folder() / _CERTIFICATES
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(manager.trustedCaCertsPemText()))
    except OSError as failure:
        raise ToolboxError(f"The certificates cannot be written to {path} ({failure}); make that folder writable.") from failure
    return path
