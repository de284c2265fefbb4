#!/usr/bin/env bash
# Installs QGIS and what the Makefile needs from the distribution, if absent. Debian and Ubuntu; elsewhere it says what is missing.
set -eu
packages="qgis python3-qgis python3-venv python3-pip python3-gdal python3-numpy"
python=${PYTHON:-/usr/bin/python3}
if command -v qgis >/dev/null && "$python" -c 'import qgis.core, osgeo.gdal, numpy, venv, ensurepip, pip' 2>/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then
  echo "QGIS with Python bindings is missing: install it (and Python's venv and pip), then run make again." >&2
  exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing QGIS from the distribution ($packages) ..."
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $packages fonts-dejavu-core >/dev/null
