#!/bin/sh
# The page tests drive the machine's own Chromium. Found on PATH, or installed by root with apt-get; else those tests
# are skipped, which fails where CI=1.
set -eu
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "browser: installing chromium with apt-get"
    apt-get -o Acquire::Retries=3 update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null && exit 0
fi
echo "browser: no Chromium on PATH, so the page tests are skipped. To run them: apt-get install chromium (as root)," \
    "or dnf install chromium, or brew install chromium" >&2
if [ "${CI:-}" = 1 ]; then exit 1; fi
