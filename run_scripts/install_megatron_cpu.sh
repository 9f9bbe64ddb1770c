# Adds Megatron to the virtual environment of install_cpu.sh for tests/stack/test_megatron.py.
# Without dependencies: Megatron-Bridge asks for Transformer Engine, which needs CUDA, and for transformers 4.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/install_cpu.sh
"$AXPO_VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    megatron-core==0.16.1 megatron-bridge==0.3.1
