#!/usr/bin/env bash
# Qwen3-VL-4B-Thinking: GRPO. --help lists what the environment and the arguments change.
source "$(dirname "${BASH_SOURCE[0]}")/train.sh" 4b grpo "$@"
