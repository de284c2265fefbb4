#!/usr/bin/env bash
# Opens a project in a real QGIS window on a virtual screen and saves a picture of it: screenshot.sh PROFILES PROJECT FOLDER
# Needs Xvfb, openbox, xdotool and ImageMagick (apt-get install xvfb openbox xdotool imagemagick).
set -eu
profiles=$1 project=$2 folder=$3
display=:97
mkdir -p "$folder"
Xvfb $display -screen 0 1600x1000x24 >/dev/null 2>&1 & screen=$!
trap 'kill $window $manager $screen 2>/dev/null || true' EXIT
sleep 1
export DISPLAY=$display
unset QT_QPA_PLATFORM
openbox & manager=$!
qgis --nologo --profiles-path "$profiles" "$project" >"$folder/qgis.log" 2>&1 & window=$!
for _ in $(seq 60); do
  sleep 1
  xdotool search --onlyvisible --name 'QGIS' >/dev/null 2>&1 && break
done
sleep "${SETTLE:-15}"
xdotool search --onlyvisible --name 'QGIS' windowsize %@ 1600 1000 windowmove %@ 0 0 || true
sleep 5
import -window root "$folder/main_window.png"
echo "$folder/main_window.png"
