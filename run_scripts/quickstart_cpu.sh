#!/usr/bin/env bash
# Installs a virtual environment (once) and trains a tiny agent with AXPO on this machine's CPU.
# Options (--estimator, --steps, --seed, --output, ...) are passed on; --help lists them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/install_cpu.sh
exec "$AXPO_VENV/bin/python" -m run_scripts.quickstart "$@"
