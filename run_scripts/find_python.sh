# Sourced by train.sh and evaluate.sh: goes to the repository and sets _python.
# Python is that of $AXPO_VENV, of .venv where one exists, or the first on PATH. HARDWARE=cpu installs .venv if needed.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "${HARDWARE:-}" = cpu ]; then
    source run_scripts/install_cpu.sh
fi
_venv="${AXPO_VENV:-.venv}"
_python="$(command -v "$_venv/bin/python" || command -v python || command -v python3)"
if ! "$_python" -c 'import importlib.util as u; raise SystemExit(not (u.find_spec("verl") and u.find_spec("hydra")))'; then
    echo "error: $_python has no verl: pip install -r requirements.txt, or name its environment with AXPO_VENV=" >&2
    exit 2
fi
