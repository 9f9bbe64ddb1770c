#!/usr/bin/env bash
# Evaluates a model: Pass@1, Pass@k and tool use on the benchmarks. --help lists the options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/find_python.sh"
exec "$_python" -m run_scripts.evaluation run "$@"
