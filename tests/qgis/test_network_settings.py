# SPDX-License-Identifier: GPL-2.0-or-later
"""QGIS's proxy settings as the installer gets them."""

import pytest
from deep_learning_toolbox.algorithms.network_settings import describe_network, read_network
from deep_learning_toolbox.backend.errors import ToolboxError
from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import QByteArray
from qgis.PyQt.QtNetwork import QSslCertificate

AUTHORITY = "-----BEGIN CERTIFICATE-----\nnot a real one\n-----END CERTIFICATE-----\n"


@pytest.fixture
def use_proxy(qgis_app):
    """Sets QGIS's proxy as its options dialog does."""

    def use(**values):
        settings = QgsSettings()
        for name, value in {"proxyEnabled": True, "proxyType": "HttpProxy", **values}.items():
            settings.setValue(f"proxy/{name}", value)
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()

    yield use
    QgsSettings().remove("proxy")
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()


def test_without_a_proxy_the_system_decides(use_proxy):
    use_proxy(proxyEnabled=False)
    assert read_network().variables() == {}


def test_proxy_with_password_and_exceptions_is_passed_on_but_never_shown(use_proxy):
    account = {"proxyUser": "anna", "proxyPassword": "p@ß:"}
    direct = {"noProxyUrls": ["http://intern.example/"], "proxyExcludedUrls": ["https://maps.example/wms"]}
    use_proxy(proxyHost="proxy.example", proxyPort="3128", **account, **direct)
    variables = read_network().variables()
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == "http://anna:p%40%C3%9F:@proxy.example:3128"
    assert variables["NO_PROXY"] == "intern.example,maps.example"
    assert describe_network() == "proxy http://***@proxy.example:3128"


def test_certificates_of_the_users_own_are_passed_on_with_the_systems(use_proxy, folder, monkeypatch):
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder / "home"))
    use_proxy(proxyEnabled=False)
    assert read_network().certificates is None
    manager = QgsApplication.authManager()
    certificate = QSslCertificate(AUTHORITY.encode())
    monkeypatch.setattr(type(manager), "databaseCAs", lambda self: [certificate])
    monkeypatch.setattr(type(manager), "trustedCaCertsPemText", lambda self, *arguments: QByteArray(AUTHORITY.encode()))
    network = read_network()
    assert network.certificates == folder / "home" / "certificates.pem"
    assert network.certificates.read_text(encoding="ascii") == AUTHORITY
    assert network.variables()["PIP_CERT"] == str(network.certificates)


def test_socks_proxy_is_refused_with_what_to_do(use_proxy):
    use_proxy(proxyType="Socks5Proxy", proxyHost="proxy.example", proxyPort="1080")
    with pytest.raises(ToolboxError, match=r"SOCKS proxy proxy\.example, which the installer cannot use: set an HTTP proxy"):
        read_network()
    assert "SOCKS" in describe_network()
