# Sourced by qwen3vl_*.sh as `train.sh SIZE STAGE [options] [Hydra overrides]`: starts run_scripts.train.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/find_python.sh"
exec "$_python" -m run_scripts.train "$@"
