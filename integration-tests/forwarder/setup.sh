#!/bin/sh
# Installs what the forwarder's tests and benchmark need, on Debian or Ubuntu, as root. It can be run again.
set -eu
packages="nftables iptables conntrack haproxy iproute2 procps curl openssl util-linux systemd cloud-init python3 python3-yaml
postgresql postgresql-client mariadb-server mariadb-client"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
    exit 0
fi
[ "$(id -u)" = 0 ] || { echo "setup: run this as root; missing:$missing" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
# No server is started: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
# On a machine that was not booted from a cloud's image, cloud-init is here for its modules and its schema only.
mkdir -p /etc/cloud
touch /etc/cloud/cloud-init.disabled
