#!/usr/bin/env bash
# Qwen3-VL-2B-Thinking: supervised fine-tuning. --help lists what the environment and the arguments change.
source "$(dirname "${BASH_SOURCE[0]}")/train.sh" 2b sft "$@"
