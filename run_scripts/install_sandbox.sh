#!/usr/bin/env bash
# What the python tool's sandbox needs from the system: bubblewrap and libseccomp. Does nothing where both are there.
set -euo pipefail

_has_seccomp() { ldconfig -p 2>/dev/null | grep -q libseccomp || ls /usr/lib*/libseccomp.so.2 /usr/lib/*/libseccomp.so.2 >/dev/null 2>&1; }

if command -v bwrap >/dev/null && PATH="$PATH:/sbin:/usr/sbin" _has_seccomp; then
    exit 0
fi

_as_root=()
if [ "$(id -u)" != 0 ]; then
    # never ask for a password: this also runs unattended
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        _as_root=(sudo -n)
    else
        echo "The python tool's sandbox needs bubblewrap and libseccomp. As root: apt-get install bubblewrap libseccomp2" \
            "(Fedora: dnf install bubblewrap libseccomp)." >&2
        exit 1
    fi
fi

echo "installing bubblewrap and libseccomp"
if command -v apt-get >/dev/null; then
    "${_as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${_as_root[@]}" apt-get install -y -qq bubblewrap libseccomp2 >/dev/null
elif command -v dnf >/dev/null; then
    "${_as_root[@]}" dnf install -y -q bubblewrap libseccomp
elif command -v apk >/dev/null; then
    "${_as_root[@]}" apk add -q bubblewrap libseccomp
elif command -v pacman >/dev/null; then
    "${_as_root[@]}" pacman -S --noconfirm --quiet bubblewrap libseccomp
else
    echo "No known package manager: install bubblewrap and libseccomp by hand." >&2
    exit 1
fi
