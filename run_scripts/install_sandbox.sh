#!/usr/bin/env bash
# What the python tool's sandbox needs from the system: bubblewrap and libseccomp. A font with Chinese, Japanese and
# Korean characters is installed along with them, so that figures can be labelled in these languages. It is not
# necessary: without it the script warns. Does nothing where all are there.
set -euo pipefail

_has_seccomp() { ldconfig -p 2>/dev/null | grep -q libseccomp || ls /usr/lib*/libseccomp.so.2 /usr/lib/*/libseccomp.so.2 >/dev/null 2>&1; }
_has_jail() { command -v bwrap >/dev/null && PATH="$PATH:/sbin:/usr/sbin" _has_seccomp; }
# tools/sandbox/runtime.py knows the same files.
_has_font() {
    find /usr/share/fonts /usr/local/share/fonts 2>/dev/null |
        grep -qE '/(wqy-(zenhei|microhei)\.ttc|NotoSansCJK(sc)?-Regular\.(ttc|otf)|NotoSansSC-Regular\.otf|SourceHanSansSC-Regular\.otf|DroidSansFallback(Full)?\.ttf)$'
}

if _has_jail && _has_font; then
    exit 0
fi

_as_root=()
if [ "$(id -u)" != 0 ]; then
    # never ask for a password: this also runs unattended
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        _as_root=(sudo -n)
    elif _has_jail; then
        echo "Figures show no Chinese characters. As root: apt-get install fonts-wqy-zenhei (Fedora: dnf install" \
            "wqy-zenhei-fonts)." >&2
        exit 0
    else
        echo "The python tool's sandbox needs bubblewrap and libseccomp. As root: apt-get install bubblewrap libseccomp2" \
            "fonts-wqy-zenhei (Fedora: dnf install bubblewrap libseccomp wqy-zenhei-fonts)." >&2
        exit 1
    fi
fi

echo "installing bubblewrap, libseccomp and a Chinese font"
if command -v apt-get >/dev/null; then
    _install() { DEBIAN_FRONTEND=noninteractive "${_as_root[@]}" apt-get install -y -qq "$@" >/dev/null; }
    "${_as_root[@]}" apt-get update -qq
    _jail=(bubblewrap libseccomp2) _font=fonts-wqy-zenhei
elif command -v dnf >/dev/null; then
    _install() { "${_as_root[@]}" dnf install -y -q "$@"; }
    _jail=(bubblewrap libseccomp) _font=wqy-zenhei-fonts
elif command -v apk >/dev/null; then
    _install() { "${_as_root[@]}" apk add -q "$@"; }
    _jail=(bubblewrap libseccomp) _font=font-wqy-zenhei
elif command -v pacman >/dev/null; then
    _install() { "${_as_root[@]}" pacman -S --noconfirm --quiet "$@"; }
    _jail=(bubblewrap libseccomp) _font=wqy-zenhei
else
    _install() { return 1; }
    _jail=(bubblewrap libseccomp) _font="a Chinese font"
fi
_has_jail || _install "${_jail[@]}" || {
    echo "Install bubblewrap and libseccomp by hand." >&2
    exit 1
}
_has_font || _install "$_font" || echo "Figures show no Chinese characters: $_font could not be installed." >&2
