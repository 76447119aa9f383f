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
python=${PYTHON:-python3}
# Debian and Ubuntu keep what makes such folders in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup-venv: installing python3-venv" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    echo "setup-venv: $python cannot make virtual environments: install python3-venv (Debian, Ubuntu), or name another with PYTHON" >&2
    exit 1
  fi
fi
"$python" -m venv .venv
arguments=()
for file in "${requirements[@]}"; do
  arguments+=(-r "$file")
done
.venv/bin/python -m pip install --quiet --disable-pip-version-check "${arguments[@]}"
printf '%s\n' "$wanted" > "$stamp"
