# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""This project's tools and rewards, registered with the AXPO recipe: the default of ``axpo.plugins``."""

from __future__ import annotations

import httpx

from recipe.axpo import plugins
from verl_ext import tool_calls
from verl_ext.reward_score.preflight import refuse_template, scoring_problems
from verl_ext.reward_score.thinking import resolve_thinking

# Tools of other projects raise their HTTP client's errors, which are no OSError.
plugins.register_infrastructure_errors(tool_calls.ToolInfrastructureError, httpx.TransportError)
plugins.register_tool_calls(tool_calls.drain, tool_calls.summarise)
plugins.register_config_check(scoring_problems)
plugins.register_config_default(refuse_template)  # for a model that is downloaded first
plugins.register_config_default(resolve_thinking)
