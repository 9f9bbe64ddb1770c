# Adds SGLang to the virtual environment of install_cpu.sh: `bash run_scripts/install_sglang_cpu.sh`, then ENGINE=sglang.
# Without dependencies: SGLang asks for CUDA packages that a CPU never imports, and for other versions of torch and
# transformers. The further names are all that it imports on a CPU and the environment lacks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/install_cpu.sh
"$AXPO_VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    sglang==0.5.14 gguf==0.19.0 torch_memory_saver==0.0.10 soundfile==0.14.0
