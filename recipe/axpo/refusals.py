# Copyright 2026 Individual Contributor: The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Refuse options that verl would accept although they do something else than they say, hang a step or lose rollouts.

The checks are grouped by theme, one generator of messages each. What concerns the files that a run reads is in
``preflight``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from recipe.axpo.batching import micro_batch_multiple
from recipe.axpo.config import ACTOR, MODEL, REF, ROLLOUT, branching_enabled

MANAGER_CLASS = "recipe.axpo.rollout.AXPOAgentLoopManager"
ESTIMATORS = ("axpo", "grpo")


def option_problems(config: DictConfig) -> Iterator[str]:
    """Yield what is wrong with the options, most basic first; each message names the option, its value and the fix."""
    yield from _rule_problems(config, TRAINER_RULES)
    yield from _trainer_problems(config)
    yield from _rule_problems(config, ROLLOUT_RULES)
    yield from _rollout_problems(config)
    yield from _length_problems(config)
    yield from _batching_problems(config)
    yield from _reward_problems(config)
    if branching_enabled(config):
        yield from _rule_problems(config, BRANCHING_RULES)
        yield from _branching_problems(config)
        yield from _loss_problems(config)
    yield from _rule_problems(config, UNREAD_OPTIONS)
    yield from _clip_problems(config)


# ---------------------------------------------------------------- options with a few values that work


class Rule(NamedTuple):
    """Name an option, the values that work, the one to set first, and why others do not; null counts as false."""

    option: str
    allowed: tuple[Any, ...]
    reason: str


_ABSENT = object()


def _rule_problems(config: DictConfig, rules: tuple[Rule, ...]) -> Iterator[str]:
    for option, allowed, reason in rules:
        value = OmegaConf.select(config, option, default=_ABSENT)
        if value is _ABSENT or value in allowed or (value is None and not all(allowed)):
            continue
        yield f"{option} must be {' or '.join(map(_as_yaml, allowed))}, got {_as_yaml(value, quote=True)}: {reason}"


def _as_yaml(value: Any, quote: bool = False) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if quote else str(value)


TRAINER_RULES = (
    Rule("algorithm.adv_estimator", ESTIMATORS, "the trainer computes these two advantages"),
    Rule("trainer.use_v1", (True,), "the branching rollout lives in verl's V1 trainer"),
    Rule(
        "trainer.v1.trainer_mode",
        ("sync",),
        "the budget of a batch is allotted once its questions have settled, which asynchronous modes never wait for",
    ),
    Rule(
        "trainer.v1.sync.parameter_sync_step",
        (1,),
        "verl would take a part of the batch and put the engine to sleep while the rest still generates",
    ),
    Rule(
        "trainer.v1.sampler.sync_refill_failed_groups",
        (False,),
        "questions that are added to a step after its barrier would be selected from twice, and the end of the step "
        "would wait for questions that have ended; a failed question is left out of its batch instead",
    ),
    Rule(
        "algorithm.filter_groups.enable",
        (False,),
        "its refills have no place in a budget of the whole batch, and nothing would watch their deadlines",
    ),
    *(
        Rule(
            f"skip.{name}.enable",
            (False,),
            "a step whose rollouts come from a file never opens at the coordinator, and its end would wait for ever",
        )
        for name in ("rollout", "rollout_tq", "async_rollout")
    ),
)

ROLLOUT_RULES = (
    Rule(f"{ROLLOUT}.name", ("vllm", "sglang"), "the recipe is written for these two engines"),
    Rule(f"{ROLLOUT}.multi_turn.enable", (True,), "the agent answers after calling tools"),
    Rule(
        f"{ROLLOUT}.multi_turn.format",
        ("hermes",),
        "forks and the figures of tool use are found by Hermes' <tool_call> tags; with another parser no call is read, "
        "so AXPO would silently be GRPO, and under GRPO the figures would be wrong",
    ),
    Rule(
        f"{ROLLOUT}.logprobs_mode",
        ("processed_logprobs", "raw_logprobs"),
        "the confidence of a call is a mean of probabilities, which logits are not",
    ),
    Rule(
        f"{ROLLOUT}.full_determinism",
        (False,),
        "it gives every request of an engine one seed, so the rollouts of a question and the continuations of a prefix "
        "would be copies; use axpo.session_seeds=true for repeatable sampling",
    ),
    Rule(
        f"{ROLLOUT}.ignore_eos",
        (False,),
        "a turn that does not end at its end token runs to the length limit, and verl executes no call of such a turn",
    ),
)

# Nothing in verl's synchronous V1 trainer reads these (searched in verl 0.9.1); the run would ignore the value.
UNREAD_OPTIONS = (
    Rule(f"{ACTOR}.freeze_vision_tower", (False,), "no engine of verl reads it, the vision tower is trained anyway"),
    Rule(f"{ACTOR}.use_rollout_log_probs", (False,), "no engine of verl reads it, old log-probs are recomputed anyway"),
    Rule(f"{ACTOR}.use_prefix_grouper", (False,), "verl's V1 trainer does not read it"),
    Rule(f"{ACTOR}.calculate_sum_pi_squared", (False,), "verl's V1 trainer does not read it"),
    Rule(f"{ACTOR}.grad_clip", (1.0,), f"verl's engines read {ACTOR}.optim.clip_grad instead; set that one"),
    Rule("actor_rollout_ref.hybrid_engine", (True,), "the synchronous trainer always shares its GPUs with the engine"),
    Rule(f"{ROLLOUT}.nnodes", (0,), "the synchronous trainer always shares its GPUs with the engine"),
    Rule(f"{ROLLOUT}.do_sample", (True,), f"verl's agent loop does not read it and samples at {ROLLOUT}.temperature"),
    Rule(f"{ROLLOUT}.repetition_penalty", (1.0,), "verl's agent loop sends 1.0 with every request"),
    Rule(f"{ROLLOUT}.over_sample_rate", (0,), "verl's agent loop does not read it and waits for every rollout"),
    Rule(f"{ROLLOUT}.checkpoint_manager_class", (None,), "verl's V1 trainer makes its own"),
    Rule(f"{ROLLOUT}.multi_turn.num_repeat_rollouts", (None,), f"verl reads {ROLLOUT}.n instead; set that one"),
    Rule(
        f"{ROLLOUT}.multi_turn.use_inference_chat_template",
        (False,),
        "verl's agent loop always trains on the token ids that were generated",
    ),
    Rule(
        "data.reward_fn_key",
        ("data_source",),
        "verl's reward managers read the column data_source whatever this says; rename the column",
    ),
    Rule(
        "data.truncation",
        ("error",),
        "verl's agent loop does not read it: prompts with images are never cut, those of text always from the left; "
        "data.filter_overlong_prompts=true leaves such rows out",
    ),
    Rule("algorithm.use_pf_ppo", (False,), "verl's V1 trainer does not read it"),
    Rule("trainer.balance_batch", (True,), "verl's V1 trainer always balances the ranks"),
    Rule("trainer.esi_redundant_time", (0,), "verl's V1 trainer does not read it: set trainer.save_freq"),
)

_NOT_TESTED_WITH_LORA = "LoRA is not tested with branch rows; train all weights or use algorithm.adv_estimator=grpo"

BRANCHING_RULES = (
    Rule(
        f"{ROLLOUT}.calculate_log_probs",
        (True,),
        "forks are ranked by the probabilities of the sampled tokens",
    ),
    Rule(f"{ACTOR}.shuffle", (False,), "extra rows ride in the mini-batch of their question"),
    Rule("algorithm.use_kl_in_reward", (False,), f"AXPO's KL term is a loss ({ACTOR}.use_kl_loss)"),
    Rule(
        "algorithm.rollout_correction.bypass_mode",
        (False,),
        "it takes the engine's log-probs for the old policy's, which is not implemented for branch rows",
    ),
    Rule("critic.enable", (None, False), "AXPO has no value function"),
    Rule("distillation.enabled", (False,), "distillation must be disabled, it is not implemented for branch rows"),
    Rule(f"{ROLLOUT}.multi_turn.max_parallel_calls", (1,), "a fork is one call of a turn"),
    Rule(f"{ROLLOUT}.enable_rollout_routing_replay", (False,), "it is not implemented for branch rows"),
    *(
        Rule(f"{ACTOR}.{engine}.router_replay.mode", ("disabled",), "it is not implemented for branch rows")
        for engine in ("megatron", "veomni")
    ),
    Rule(f"{MODEL}.lora_rank", (0,), _NOT_TESTED_WITH_LORA),
    Rule(f"{MODEL}.lora_adapter_path", (None,), _NOT_TESTED_WITH_LORA),
    Rule(f"{MODEL}.lora.rank", (0,), _NOT_TESTED_WITH_LORA),
    Rule(f"{MODEL}.lora.adapter_path", (None,), _NOT_TESTED_WITH_LORA),
    Rule(
        "reward.reward_kwargs.overlong_buffer_cfg.enable",
        (False,),
        "its penalty takes a long correct rollout below axpo.correct_threshold, and the question would be resampled",
    ),
    Rule(
        f"{ACTOR}.loss_agg_mode",
        ("seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"),
        "with a mean or sum over tokens a row no longer weighs 1/(B*N), and extra rows would shrink all others",
    ),
)

# ---------------------------------------------------------------- options that depend on each other, by theme


def _trainer_problems(config: DictConfig) -> Iterator[str]:
    data, trainer = config.data, config.trainer
    fetched = data.get("gen_batch_size")
    if fetched and data.train_batch_size % fetched:
        yield (
            f"data.gen_batch_size ({fetched}) must divide data.train_batch_size ({data.train_batch_size}): verl "
            "fetches a batch in whole parts; set it to null"
        )
    if trainer.get("val_only") and not trainer.get("val_before_train", True):
        yield (
            "trainer.val_only=true needs trainer.val_before_train=true, got false: verl stops after the validation "
            "before training, and would train without one"
        )
    if trainer.get("resume_from_path") and trainer.get("resume_mode") != "resume_path":
        yield (
            f"trainer.resume_mode must be resume_path, got {trainer.get('resume_mode')!r}, for "
            f"trainer.resume_from_path ({trainer.resume_from_path}) to be read"
        )
    if (trainer.get("critic_warmup") or 0) > 1 and not config.critic.get("enable"):
        yield (
            f"trainer.critic_warmup must be 0, got {trainer.critic_warmup}: there is no critic to warm up, and the "
            "actor would not be trained in the steps before"
        )


def _rollout_problems(config: DictConfig) -> Iterator[str]:
    rollout = config.actor_rollout_ref.rollout
    for name in ("max_assistant_turns", "max_user_turns"):
        turns = rollout.multi_turn.get(name)
        if turns is not None and turns < 1:
            yield f"{ROLLOUT}.multi_turn.{name} must be at least 1 (or null: no limit), got {turns}"
    if rollout.n < 2:
        yield f"{ROLLOUT}.n must be at least 2 (rollouts a question are compared with), got {rollout.n}"
    if rollout.temperature <= 0:
        yield (
            f"{ROLLOUT}.temperature must be above 0, got {rollout.temperature}: the rollouts of a question would be "
            "copies, and verl divides the logits by it"
        )
    if rollout.top_k == 1:
        yield f"{ROLLOUT}.top_k must be -1 or above 1, got 1: the rollouts of a question would be copies"
    validation = rollout.val_kwargs
    if validation.do_sample and validation.temperature == 0:
        yield (
            f"{ROLLOUT}.val_kwargs.temperature must be above 0 with val_kwargs.do_sample=true, got 0: verl's agent "
            "loop reads the temperature only, and the answers to a question would be copies"
        )
    if rollout.agent.num_workers < 1:
        yield f"{ROLLOUT}.agent.num_workers must be at least 1, got {rollout.agent.num_workers}: no rollout would run"
    yield from _manager_problems(rollout)


def _manager_problems(rollout: DictConfig) -> Iterator[str]:
    option, name = f"{ROLLOUT}.agent.agent_loop_manager_class", rollout.agent.get("agent_loop_manager_class")
    if name == MANAGER_CLASS:
        return
    if not name:
        yield f"{option} must be {MANAGER_CLASS}, got {_as_yaml(name, quote=True)}: verl's own manager never branches"
        return
    try:
        bases = class_names(name)
    except Exception as error:  # importing a user's module may fail in any way
        yield f"{option} must be {MANAGER_CLASS} or a subclass, got {name!r}: {type(error).__name__}: {error}"
        return
    if MANAGER_CLASS not in bases:
        yield (
            f"{option} must be {MANAGER_CLASS} or a subclass, got {name!r}: other managers never branch and keep no "
            "figures"
        )


def class_names(name: str) -> set[str]:
    """Import a class by its qualified name; return the qualified names of it and of its bases."""
    from verl.utils.import_utils import load_class_from_fqn

    bases = load_class_from_fqn(name).__mro__
    return {f"{base.__module__}.{base.__qualname__}" for base in bases}


def _length_problems(config: DictConfig) -> Iterator[str]:
    """Find limits in tokens that would lose the longest rollouts, or stop the run at the first of them."""
    data, actor, rollout = config.data, config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    for kind in ("prompt", "response"):
        limit, used = data[f"max_{kind}_length"], rollout[f"{kind}_length"]
        if used != limit:
            yield (
                f"{ROLLOUT}.{kind}_length ({used}) must be data.max_{kind}_length ({limit}): verl reads each of the "
                "two in other places; leave the first one out"
            )
    longest = data.max_prompt_length + data.max_response_length
    sum_of = f"{longest}, the sum of data.max_prompt_length and data.max_response_length"
    if rollout.max_model_len is None:
        yield (
            f"{ROLLOUT}.max_model_len must be at least {sum_of}, got null: the engine would plan its cache for the "
            "model's longest context, 36 GiB a sequence with Qwen3-VL-8B"
        )
    lengths = {f"{ROLLOUT}.max_model_len": rollout.max_model_len}
    for name in {"vllm": ("max_model_len", "max-model-len"), "sglang": ("context_length",)}.get(rollout.name, ()):
        option = f"{ROLLOUT}.engine_kwargs.{rollout.name}.{name}"  # it has the last word
        lengths[option] = OmegaConf.select(config, option)
    for option, length in lengths.items():
        if isinstance(length, int) and length < longest:
            yield (
                f"{option} must be at least {sum_of}, got {length}: the engine refuses what is longer, and the longest "
                "rollouts would be left out as infrastructure failures"
            )
    ref = config.actor_rollout_ref.ref
    options = {}
    if actor.use_dynamic_bsz:
        options[f"{ACTOR}.ppo_max_token_len_per_gpu"] = options[f"{ROLLOUT}.log_prob_max_token_len_per_gpu"] = actor
    if _has_reference(config) and ref.log_prob_use_dynamic_bsz:
        options[f"{REF}.log_prob_max_token_len_per_gpu"] = ref
    for option, role in options.items():
        tokens, ranks = OmegaConf.select(config, option), _ranks_of_a_sequence(role)
        if tokens is not None and tokens * ranks < longest:
            each = f" ({ranks} ranks share a sequence)" if ranks > 1 else ""
            yield (
                f"{option} must be at least {-(-longest // ranks)}{each}, got {tokens}: verl stops at the first row "
                f"that does not fit, and a row may have {sum_of}"
            )


def _has_reference(config: DictConfig) -> bool:
    return bool(config.actor_rollout_ref.actor.use_kl_loss or config.algorithm.use_kl_in_reward)


def _batching_problems(config: DictConfig) -> Iterator[str]:
    """Find micro-batches at which verl or Megatron would stop in the first step, without naming an option."""
    actor, rollout, ref = (config.actor_rollout_ref[name] for name in ("actor", "rollout", "ref"))
    if rollout.log_prob_use_dynamic_bsz != actor.use_dynamic_bsz:
        yield (
            f"{ROLLOUT}.log_prob_use_dynamic_bsz ({_as_yaml(rollout.log_prob_use_dynamic_bsz)}) must be "
            f"{ACTOR}.use_dynamic_bsz ({_as_yaml(actor.use_dynamic_bsz)}): the actor batches both passes alike; leave "
            "the first one out"
        )
    for option, *_ in _fixed_passes(config):
        size = OmegaConf.select(config, option)
        if not size:
            yield f"{option} must be at least 1, got {_as_yaml(size)}: without dynamic batching it cuts the rows"
    if not branching_enabled(config):
        yield from _row_problems(config)
    for path, role in ((ACTOR, actor), (REF, ref)):
        engine = role.get("megatron") or {}
        if role.strategy != "megatron" or (engine.get("virtual_pipeline_model_parallel_size") or 1) <= 1:
            continue
        option = f"{path}.megatron.override_transformer_config.microbatch_group_size_per_vp_stage"
        group, stages = OmegaConf.select(config, option), engine.pipeline_model_parallel_size
        if group is not None and group < stages:
            yield (
                f"{option} must be at least {stages}, the pipeline_model_parallel_size, got {group}: Megatron's "
                "interleaved schedule takes no smaller groups; leave it out"
            )


def _fixed_passes(config: DictConfig) -> Iterator[tuple[str, DictConfig, bool]]:
    """Yield the size, the role, and whether it takes the whole batch at once, of each pass in fixed micro-batches."""
    actor, ref = config.actor_rollout_ref.actor, config.actor_rollout_ref.ref
    if not actor.use_dynamic_bsz:
        yield f"{ACTOR}.ppo_micro_batch_size_per_gpu", actor, False
        yield f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu", actor, True
    if _has_reference(config) and not ref.log_prob_use_dynamic_bsz:
        yield f"{REF}.log_prob_micro_batch_size_per_gpu", ref, True


def _row_problems(config: DictConfig) -> Iterator[str]:
    """Find rows that do not divide. Without branching verl completes the last mini-batch, but no micro-batch."""
    data, actor, rollout = config.data, config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    mini_batch = actor.ppo_mini_batch_size * rollout.n
    whole_batch = -(-data.train_batch_size // actor.ppo_mini_batch_size) * mini_batch
    ranks = _data_parallel_ranks(config, actor)
    if ranks and mini_batch % ranks:
        yield (
            f"{ACTOR}.ppo_mini_batch_size x {ROLLOUT}.n ({mini_batch}) must be a multiple of the {ranks} data-parallel "
            "ranks: each has an equal share of a mini-batch"
        )
        return
    for option, role, whole in _fixed_passes(config):
        size, ranks = OmegaConf.select(config, option), _data_parallel_ranks(config, role)
        total, group = whole_batch if whole else mini_batch, micro_batch_multiple(role)
        if not size or not ranks or total % (ranks * size * group) == 0:
            continue
        fits = [n for n in range(1, size) if total % (ranks * n * group) == 0]
        dynamic = f"{REF}.log_prob_use_dynamic_bsz" if option.startswith(REF) else f"{ACTOR}.use_dynamic_bsz"
        yield (
            f"{option} ({size}) must cut the {total // ranks} rows that each of {ranks} ranks has of a "
            f"{'batch' if whole else 'mini-batch'} into equal parts"
            + (f", {group} or a multiple of it for the virtual pipeline" if group > 1 else "")
            + ": verl would stop in the first step; set "
            + (f"it to {fits[-1]} or " if fits else "")
            + f"{dynamic}=true"
        )


def _data_parallel_ranks(config: DictConfig, role: DictConfig) -> int:
    """Return how many ranks share the rows of a batch; 0 if the GPUs do not divide."""
    sizes = ("tensor_model_parallel_size", "pipeline_model_parallel_size")
    shared = math.prod(role.megatron[size] for size in sizes) if role.strategy == "megatron" else 1
    ranks, rest = divmod(config.trainer.nnodes * config.trainer.n_gpus_per_node, shared * _ranks_of_a_sequence(role))
    return 0 if rest else ranks


def _ranks_of_a_sequence(role: DictConfig) -> int:
    """Return how many GPUs share one sequence, by Ulysses or context parallelism, whichever the engine has."""
    options = (
        "ulysses_sequence_parallel_size",
        "fsdp_config.ulysses_sequence_parallel_size",
        "megatron.context_parallel_size",
        "veomni.ulysses_parallel_size",
        "torchtitan.context_parallel_size",
    )
    return max(OmegaConf.select(role, option) or 1 for option in options)


def _reward_problems(config: DictConfig) -> Iterator[str]:
    reward = config.reward
    if reward.reward_model.enable and not reward.reward_model.enable_resource_pool:
        yield (
            "reward.reward_model.enable=true needs reward.reward_model.enable_resource_pool=true: a colocated reward "
            "model scores after the rollout, but branching needs each reward while the rollout engine is up"
        )
    if reward.reward_manager.name == "rate_limited":
        yield (
            "reward.reward_manager.name must not be 'rate_limited': it rewards a response with 0 if the judge cannot "
            "be reached, so an infrastructure failure would be a wrong answer; use naive, and limit requests with "
            "reward.custom_reward_function.reward_kwargs.judge.max_concurrency"
        )
    if reward.num_workers < 1:
        yield f"reward.num_workers must be at least 1, got {reward.num_workers}: every rollout is scored by a worker"
    for group, successor in {
        "custom_reward_function": "reward.custom_reward_function",
        "sandbox_fusion": "reward.sandbox_fusion",
        "reward_model": "reward.reward_model, reward.reward_manager or reward.num_workers",
    }.items():
        for option, value in _leaves(config.get(group), group):
            yield f"{option} must be null, got {value!r}: verl's V1 trainer does not read it; set {successor}"
    function, sandbox = reward.get("custom_reward_function") or {}, reward.get("sandbox_fusion") or {}
    if sandbox.get("url") and function.get("path"):
        yield (
            f"reward.sandbox_fusion.url must be null, got {sandbox.get('url')!r}: verl passes it to its own reward "
            f"only, and reward.custom_reward_function.path is {function.get('path')}"
        )


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every option below a node that is not null."""
    if OmegaConf.is_dict(node):
        for name in node:
            yield from _leaves(node[name], f"{path}.{name}")
    elif node is not None:
        yield path, node


def _branching_problems(config: DictConfig) -> Iterator[str]:
    algorithm, actor, rollout = config.algorithm, config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    if config.data.train_batch_size % actor.ppo_mini_batch_size:
        yield (
            f"data.train_batch_size ({config.data.train_batch_size}) must be a multiple of "
            f"{ACTOR}.ppo_mini_batch_size ({actor.ppo_mini_batch_size})"
        )
    if rollout.multi_turn.max_assistant_turns == 1:
        yield (
            f"{ROLLOUT}.multi_turn.max_assistant_turns must be at least 2 (or null: no limit), got 1: verl executes no "
            "call of the last turn, so there would be nothing to fork"
        )
    if config.axpo.ranking == "entropy" and rollout.name != "vllm":
        yield (
            f"axpo.ranking=entropy needs {ROLLOUT}.name=vllm, got {rollout.name!r}: only vLLM is asked for more than "
            "the sampled tokens' log-probabilities"
        )
    correction = algorithm.get("rollout_correction") or {}
    used = {name: correction.get(name) for name in ("rollout_is", "rollout_rs") if correction.get(name)}
    if used:
        yield (
            f"algorithm.rollout_correction.rollout_is and .rollout_rs must be null, got {used}: not implemented for "
            "branch rows"
        )


def _loss_problems(config: DictConfig) -> Iterator[str]:
    """Find losses under which a branch row does not weigh what it should."""
    actor = config.actor_rollout_ref.actor
    mode, option = actor.policy_loss.loss_mode, f"{ACTOR}.policy_loss.loss_mode"
    if mode == "geo_mean":
        yield (
            f"{option} must not be {mode!r}: it averages over the rows of a micro-batch, no-op rows included, so a row "
            "would not weigh 1/(B*N); use vanilla"
        )
    if mode == "bypass_mode":
        yield f"{option} must not be {mode!r}: rollout correction is not implemented for branch rows; use vanilla"
    # axpo.continuation_weight multiplies the advantage, which is the loss's factor only where the loss is linear in it
    if mode in ("dro", "clip_cov", "kl_cov") and config.axpo.continuation_weight != 1:
        yield (
            f"axpo.continuation_weight must be 1 with {option}={mode}, got {config.axpo.continuation_weight}: that "
            "loss is not proportional to the advantage, which the weight multiplies"
        )
    if actor.loss_agg_mode == "seq-mean-token-sum-norm" and actor.loss_scale_factor is None:
        yield (
            f"{ACTOR}.loss_scale_factor must be a number with loss_agg_mode=seq-mean-token-sum-norm, got null: verl "
            "would divide by the longest response of each micro-batch, and a row's weight would depend on its "
            f"neighbours; set it to data.max_response_length ({config.data.max_response_length})"
        )


def _clip_problems(config: DictConfig) -> Iterator[str]:
    actor = config.actor_rollout_ref.actor
    low, high = actor.clip_ratio_low, actor.clip_ratio_high
    if None not in (low, high) and actor.clip_ratio not in (0.2, low, high):
        yield (
            f"{ACTOR}.clip_ratio must be 0.2, got {actor.clip_ratio}: verl reads clip_ratio_low ({low}) and "
            f"clip_ratio_high ({high}) instead; set these"
        )
