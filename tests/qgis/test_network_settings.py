# SPDX-License-Identifier: GPL-2.0-or-later
"""QGIS's proxy settings as the installer gets them."""

import pytest
from deep_learning_toolbox.algorithms.network_settings import describe_network, read_network
from deep_learning_toolbox.backend.errors import ToolboxError
from qgis.core import QgsNetworkAccessManager, QgsSettings


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
    use_proxy(proxyHost="proxy.example", proxyPort="3128", proxyUser="anna", proxyPassword="p@ß:", noProxyUrls=["http://intern.example/"])
    variables = read_network().variables()
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == "http://anna:p%40%C3%9F:@proxy.example:3128"
    assert variables["NO_PROXY"] == "intern.example"
    assert describe_network() == "proxy http://***@proxy.example:3128"


def test_socks_proxy_is_refused_with_what_to_do(use_proxy):
    use_proxy(proxyType="Socks5Proxy", proxyHost="proxy.example", proxyPort="1080")
    with pytest.raises(ToolboxError, match=r"SOCKS proxy proxy\.example, which the installer cannot use: set an HTTP proxy"):
        read_network()
    assert "SOCKS" in describe_network()
