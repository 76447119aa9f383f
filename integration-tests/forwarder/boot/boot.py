#!/usr/bin/env python3
"""Boots a Debian machine with a forwarder's user data as it is, and looks at it from inside: `boot.py [SUITE]` (bookworm unless told).

The machine is Debian's own: kernel for clouds, systemd, cloud-init, netplan, from its package archive; it gets the rendered cloud-config from a
NoCloud seed, as a cloud would give it, and nothing else of privnet. A lab of network namespaces within it (guest.py) plays consumer and database.
It boots twice: first with cloud-init's first boot, then as after any reboot.

Needs root, and of Debian's packages: mmdebstrap, qemu-system-x86, e2fsprogs. The processor is emulated, so it takes some minutes, and no figure
of speed means anything by itself. It is no part of the test command. The machine reaches no network.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGES = (
    "systemd-sysv,systemd-resolved,udev,dbus,cloud-init,netplan.io,openssh-server,nftables,python3,iproute2,procps,kmod,conntrack,"
    "linux-image-cloud-amd64,initramfs-tools,e2fsprogs"
)
MAPS = ["5432=10.66.0.20:5432/postgres", "5433=10.66.0.20:5433/other"]
# For both boots; a busy machine emulates slowly.
PATIENCE = 5400
# The network card that a cloud would give, and what the cloud would say of it. Without a word from the cloud cloud-init guesses, and takes the
# lab's own cable, on which nobody ever answers a DHCP client.
CARD = "52:54:00:66:00:02"
NETWORK = f"version: 2\nethernets:\n  primary:\n    match: {{macaddress: '{CARD}'}}\n    dhcp4: true\n"


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"boot: {' '.join(map(str, words))}: {(done.stderr.strip() or done.stdout.strip())[-2000:]}")
    return done.stdout


def programs():
    """The folder with `render`."""
    built = os.environ.get("PRIVNET_PROGRAMS")
    if built:
        return pathlib.Path(built) / "examples"
    run("cargo", "build", "-q", "-p", "privnet-forwarder", "--example", "render", cwd=ROOT)
    return ROOT / "target" / "debug" / "examples"


def system(suite, folder):
    """An archive with the system, made once and kept: for these packages."""
    there = folder / f"{suite}-{zlib.crc32(PACKAGES.encode()):08x}.tar"
    if not there.exists():
        folder.mkdir(parents=True, exist_ok=True)
        half = there.with_suffix(".half.tar")
        print(f"boot: making {there}", flush=True)
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", suite, half)
        half.rename(there)
    return there


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def furnish(there, examples):
    """What a cloud's image and a cloud would add, and the lab."""
    write(there / "etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
    write(there / "etc/hostname", "forwarder\n")
    write(there / "etc/machine-id", "")
    # A cloud's image has its locale.
    write(there / "etc/cloud/cloud.cfg.d/99_image.cfg", "locale: C.UTF-8\n")
    seed = there / "var/lib/cloud/seed/nocloud"
    write(seed / "user-data", run(examples / "render", "cloud-init", *MAPS))
    write(seed / "meta-data", "instance-id: i-1\nlocal-hostname: forwarder\n")
    write(seed / "network-config", NETWORK)
    # The rest is the lab's: it is there before the network, and looks when the machine is up.
    shutil.copy(HERE / "guest.py", there / "opt/guest.py")
    units = there / "etc/systemd/system"
    write(
        units / "lab.service",
        "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nWants=network-pre.target\nBefore=network-pre.target\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/python3 /opt/guest.py lab\n[Install]\nWantedBy=sysinit.target\n",
    )
    write(units / "look.service", "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/usr/bin/python3 /opt/guest.py look\n")
    write(units / "look.timer", "[Timer]\nOnBootSec=1s\n[Install]\nWantedBy=timers.target\n")
    for unit, target in (("lab.service", "sysinit.target"), ("look.timer", "timers.target")):
        link = units / f"{target}.wants" / unit
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"../{unit}")


def boot(there, disk):
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", there, disk, "3G")
    kernel = next((there / "boot").glob("vmlinuz-*"))
    initrd = next((there / "boot").glob("initrd.img-*"))
    words = [
        "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "1", "-m", "1024", "-nographic", "-no-user-config",
        "-kernel", kernel, "-initrd", initrd, "-append", "root=/dev/vda rw console=ttyS0 panic=-1 quiet",
        "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
        "-netdev", "user,id=net,restrict=on,ipv6=off", "-device", f"virtio-net-pci,netdev=net,mac={CARD}",
    ]
    return subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def main():
    suite = sys.argv[1] if len(sys.argv) > 1 else "bookworm"
    missing = [name for name in ("mmdebstrap", "qemu-system-x86_64", "mke2fs") if not shutil.which(name)]
    if os.getuid() or missing:
        sys.exit("boot: needs root, and of Debian's packages mmdebstrap, qemu-system-x86, e2fsprogs")
    examples = programs()
    kept = ROOT / "target" / "forwarder-boot"
    archive, log = system(suite, kept), kept / f"{suite}.log"
    started, failed, ended = time.monotonic(), 0, False
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        there, disk = pathlib.Path(folder) / "system", pathlib.Path(folder) / "disk"
        there.mkdir()
        run("tar", "--numeric-owner", "-xf", archive, "-C", there)
        furnish(there, examples)
        machine = boot(there, disk)
        try:
            with log.open("w") as console:
                for line in machine.stdout:
                    console.write(line)
                    console.flush()
                    if "SEEN " in line:
                        said = line.split("SEEN ", 1)[1].rstrip()
                        failed += said.startswith("not ")
                        ended |= said.startswith("the end")
                        print(f"{time.monotonic() - started:6.0f} s  {said}", flush=True)
                    if time.monotonic() - started > PATIENCE:
                        sys.exit(f"boot: not over after {PATIENCE} s; its console is in {log}")
        finally:
            machine.kill()
            machine.wait()
    if failed or not ended:
        sys.exit(f"boot: {failed} thing(s) are not as they should be; its console is in {log}")
    print(f"boot: all is as it should be on {suite}")


if __name__ == "__main__":
    main()
