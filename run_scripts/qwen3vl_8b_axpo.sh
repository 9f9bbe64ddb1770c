#!/usr/bin/env bash
# Qwen3-VL-8B-Thinking: AXPO. --help lists what the environment and the arguments change.
source "$(dirname "${BASH_SOURCE[0]}")/train.sh" 8b axpo "$@"
