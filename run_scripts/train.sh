# Sourced by qwen3vl_*.sh as `train.sh SIZE STAGE [options] [Hydra overrides]`: finds Python and starts run_scripts.train.
# Python is that of $AXPO_VENV, of .venv where one exists, or the first on PATH. HARDWARE=cpu installs .venv if needed.
set -euo pipefail
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
exec "$_python" -m run_scripts.train "$@"
