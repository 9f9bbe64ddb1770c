#!/usr/bin/env bash
# Installs the virtual environment (once) and runs style checks and tests; arguments go to pytest,
# e.g. `bash run_scripts/test.sh -m "not stack"` for the part that takes five minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/install_cpu.sh
bash run_scripts/install_sandbox.sh
# The report's page is opened in a browser. Where there is none and none can be installed, that test is skipped.
if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium"
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true
fi
eval "$("$AXPO_VENV/bin/python" -m verl_ext.cpu.env)"
"$AXPO_VENV/bin/ruff" check .
"$AXPO_VENV/bin/ruff" format --check .
"$AXPO_VENV/bin/mypy"
PYTHONPATH=. "$AXPO_VENV/bin/lint-imports" --no-cache
tests=("$AXPO_VENV/bin/python" -m pytest --durations=10)
[ $# -eq 0 ] || exec "${tests[@]}" "$@"
# Runs of the whole stack need all cores and 10 GiB each, and other tests keep all cores busy on purpose: one at a time.
alone=(tests/tools/sandbox/test_blame.py tests/stack)
status=0
"${tests[@]}" --numprocesses=auto --maxprocesses=4 --dist=worksteal "${alone[@]/#/--ignore=}" || status=$?
"${tests[@]}" "${alone[@]}" || status=$?
exit "$status"
