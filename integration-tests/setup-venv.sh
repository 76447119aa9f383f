#!/usr/bin/env bash
# Makes the folders of the third-party clients that the tests use, at the versions that the requirements pin: .venv for all of
# them but the Azure CLI, whose pins are others, and .venv-az for that one.
# Runs again in an instant when nothing changed. PYTHON names another interpreter than python3.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}

# Whether a folder holds what is wanted of it.
is_made() {
  [ -x "$1/bin/python" ] && [ "$(cat "$1/requirements.sha256" 2>/dev/null)" = "$2" ]
}

# Debian and Ubuntu keep what makes such folders in a package of its own.
need_venv() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup-venv: installing python3-venv" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    echo "setup-venv: $python cannot make virtual environments: install python3-venv (Debian, Ubuntu), or name another with PYTHON" >&2
    exit 1
  fi
}

# make FOLDER ARGUMENTS FILES…: a folder with what these files list, if it is not that already.
make() {
  local folder=$1 arguments=$2 wanted file
  shift 2
  wanted=$(cat "$@" setup-venv.sh | sha256sum)
  if is_made "$folder" "$wanted"; then return; fi
  # Two test commands at once must not install into one folder at the same time.
  exec 9<setup-venv.sh
  if command -v flock >/dev/null; then flock 9; fi
  if is_made "$folder" "$wanted"; then return; fi
  rm -rf "$folder"
  need_venv
  "$python" -m venv "$folder"
  for file in "$@"; do
    arguments+=" -r $file"
  done
  # shellcheck disable=SC2086
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check $arguments
  printf '%s\n' "$wanted" > "$folder/requirements.sha256"
}

make .venv "" ./*/requirements.txt
# A lock names everything: nothing is left to work out. What is never run is not compiled.
make .venv-az "--no-deps --no-compile" azure/azure-cli.lock
