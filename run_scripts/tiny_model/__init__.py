# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A Qwen3-VL small enough to train on two CPU cores, for the quickstart and for tests."""

from verl_ext.cpu.bootstrap import install

install()  # these scripts are run by hand too, where nothing has set up the environment of a CPU run
