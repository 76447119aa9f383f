#!/usr/bin/env bash
# Makes integration-tests/.venv: the third-party clients that the tests use, at the versions that the requirements pin.
# Runs again in an instant when nothing changed. PYTHON names another interpreter than python3.
set -euo pipefail
cd "$(dirname "$0")"

requirements=(*/requirements.txt)
stamp=.venv/requirements.sha256
wanted=$(cat "${requirements[@]}" setup-venv.sh | sha256sum)
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

# Two test commands at once must not install into one folder at the same time.
exec 9<setup-venv.sh
if command -v flock >/dev/null; then flock 9; fi
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
rm -rf .venv
"${PYTHON:-python3}" -m venv .venv
arguments=()
for file in "${requirements[@]}"; do
  arguments+=(-r "$file")
done
.venv/bin/python -m pip install --quiet --disable-pip-version-check "${arguments[@]}"
printf '%s\n' "$wanted" > "$stamp"
