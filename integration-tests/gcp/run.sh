#!/bin/sh
# Proves the GCP sandbox by third-party clients. Usage: run.sh [PYTHON], where PYTHON has requirements.txt installed.
# PRIVNET_SANDBOX_SERVE names a program that serves a sandbox; without it the crate's example is built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3}
cd "$here"
if [ -z "${PRIVNET_SANDBOX_SERVE:-}" ]; then
    (cd ../.. && cargo build -q -p privnet-sandbox --no-default-features --features gcp --example serve)
    target=${CARGO_TARGET_DIR:-$here/../../target}
    PRIVNET_SANDBOX_SERVE=$target/debug/examples/serve
    export PRIVNET_SANDBOX_SERVE
fi
"$python" extract_api.py --check
exec "$python" -m unittest -v
