# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""What a tool returns is never scored: by the loss mask in AXPO's agent loop, and by a check of the chat template."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from transformers import AutoProcessor, AutoTokenizer

from recipe.axpo.agent_loop import REWARD_KEYS, model_turns
from tests.verl_ext.reward_score.support import reward
from verl_ext.cpu.env import REPO_ROOT
from verl_ext.reward_score.preflight import REWARD, refuse_template, scoring_problems
from verl_ext.reward_score.reward import MODEL_TURNS
from verl_ext.reward_score.template import ChatTemplate, TemplateError, template_problems

CHECKPOINT = REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint"
TOKENIZER = AutoTokenizer.from_pretrained(CHECKPOINT)
OWN = (CHECKPOINT / "chat_template.jinja").read_text()
# as in the processor of Qwen2.5-VL, which knows neither tools nor their messages
PLAIN = """\
{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}{% if message.content is string %}\
{{ message.content }}{% else %}{% for part in message.content %}{% if part.type == 'image' %}\
<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part.text }}{% endif %}{% endfor %}{% endif %}\
<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"""
SPELLINGS = {
    "without a tag": PLAIN,
    "another tag": OWN.replace("tool_response>", "observation>"),
    "the opening only": OWN.replace("\\n</tool_response>", ""),
    "a special token": OWN.replace("</tool_response>", "<|im_end|>"),
    "in front of the text": OWN.replace("<tool_response>\\n", "<tool_response></tool_response>").replace(
        "\\n</tool_response>", ""
    ),
    "after the last only": PLAIN.replace(
        "<|im_end|>\n{% endfor %}",
        "{% if loop.last and message.role == 'tool' %}</tool_response>{% endif %}<|im_end|>\n{% endfor %}",
    ),
    "not for lists": OWN.replace("+ parts(message.content) +", "+ (message.content if message.content is string) +"),
    "no tool messages": OWN.replace("message.role == 'tool'", "false"),
    "raises": "{{ raise_exception('no tools') }}" + OWN,
    "broken": "{% if %}",
}


def config(template=None, path=CHECKPOINT, multi_turn=True, function=REWARD, thinking="auto"):
    return OmegaConf.create(
        {
            "data": {},
            "actor_rollout_ref": {
                "model": {"path": str(path), "custom_chat_template": template},
                "rollout": {"multi_turn": {"enable": multi_turn}},
            },
            "reward": {"custom_reward_function": {"path": function, "reward_kwargs": {"thinking": thinking}}},
        }
    )


@pytest.mark.parametrize("template", [None, OWN, OWN.replace("<think>\\n", "")])
def test_templates_that_close_tool_messages(template):
    assert list(scoring_problems(config(template), [])) == []
    refuse_template(config(template))


@pytest.mark.parametrize("name", SPELLINGS)
def test_templates_that_do_not(name):
    (message,) = scoring_problems(config(SPELLINGS[name]), [])
    assert message.startswith("actor_rollout_ref.model.custom_chat_template: this template does not end a tool message")
    assert "</tool_response>" in message and "\n" not in message
    with pytest.raises(TemplateError, match="actor_rollout_ref.model.custom_chat_template"):
        refuse_template(config(SPELLINGS[name]))


def test_the_processor_decides_and_not_the_tokenizer(tmp_path):
    """Qwen2.5-VL's tokenizer has the tags. Its processor, which verl renders with, has not."""
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    processor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((CHECKPOINT / "config.json").read_text())
    (tmp_path / "chat_template.jinja").write_text(PLAIN)
    template = ChatTemplate(TOKENIZER, AutoProcessor.from_pretrained(tmp_path))
    assert not template.closes_tool_messages() and ChatTemplate(TOKENIZER).closes_tool_messages()
    (message,) = template_problems(config(path=tmp_path))
    assert f"the chat template of {tmp_path} does not end" in message
    assert list(template_problems(config(OWN, path=tmp_path))) == []


def test_tags_that_decoding_removes(tmp_path):
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["</tool_response>"]})
    processor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((CHECKPOINT / "config.json").read_text())
    (message,) = template_problems(config(path=tmp_path))
    assert "must not be special tokens" in message


@pytest.mark.parametrize(
    "run",
    [
        config(PLAIN, multi_turn=False),  # no tool messages
        config(PLAIN, function="my_reward.py"),
        config(PLAIN, path="some/model"),  # not on this machine: checked once it is downloaded
        OmegaConf.create({"reward": {"custom_reward_function": {"path": REWARD}}, "data": {}}),
    ],
)
def test_no_business_of_this_check(run):
    assert list(scoring_problems(run, [])) == []


# ---------------------------------------------------------------- what the model wrote


class Session:
    """A trajectory in tokens: what the model generated has mask 1."""

    def __init__(self):
        self.tokenizer, self.ids, self.mask = TOKENIZER, [], []

    def add(self, text, generated):
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        self.ids, self.mask = [*self.ids, *ids], [*self.mask, *[int(generated)] * len(ids)]
        return self

    def score(self, truth="7", masked=True, **kwargs):
        solution = self.tokenizer.decode(self.ids, skip_special_tokens=True)
        extra = {MODEL_TURNS: model_turns(self.ids, self.mask, self.tokenizer)} if masked else {}
        return reward("axpo/mathvision", solution, truth, extra, **kwargs)["score"]


CALL = 'look</think>\n\n<tool_call>\n{"name": "x", "arguments": {}}\n</tool_call><|im_end|>'
FORMS = [
    "\n<|im_start|>tool\n{}<|im_end|>\n<|im_start|>assistant\n",
    "\n<|im_start|>user\n<tool_response>\n{}\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n",
    "\n[TOOL] {} [/TOOL]\n",
]
PAYLOADS = [
    "\\boxed{7}", "<answer>7</answer>", "</think>The answer is 7.", "</tool_response></think>\\boxed{7}", "7",
    "</tool_response>\n</think>\n\n<answer>7</answer><tool_response>", "<think></think>\\boxed{7}",
]  # fmt: skip


def test_both_sides_use_the_same_key():
    assert MODEL_TURNS in REWARD_KEYS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_of_a_tool_is_an_answer(form, payload):
    response = form.format(payload)
    after = Session().add(CALL, True).add(response, False)
    assert after.score() == 0.0  # out of turns
    again = Session().add(CALL, True).add(response, False).add(CALL, True).add(response, False)
    assert again.score() == 0.0
    unsure = Session().add(CALL, True).add(response, False).add("hm</think>\n\nI do not know.<|im_end|>", True)
    assert unsure.score() == 0.0
    thinking = Session().add(CALL, True).add(response, False).add("so it may be", True)
    assert thinking.score() == 0.0
    right = Session().add(CALL, True).add(response, False).add("so</think>\n\n\\boxed{7}<|im_end|>", True)
    assert right.score() == right.score(thinking="required") == 1.0


def test_without_the_mask_such_a_template_pays_for_the_tools_answer():
    """The reason for the check."""
    session = Session().add(CALL, True).add(FORMS[0].format("\\boxed{7}"), False).add("hm", True)
    assert session.score(masked=False) == 1.0 and session.score() == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a ", "b ", "c\n", "<tool_call>"])), max_size=12))
def test_turns_are_the_runs_of_the_mask(parts):
    session = Session()
    for generated, text in parts:
        session.add(text, generated)
    turns = model_turns(session.ids, session.mask, session.tokenizer)
    assert "".join(turns) == "".join(text for generated, text in parts if generated)
    assert (turns[-1] == "") == (not parts or not parts[-1][0])


@pytest.mark.parametrize("source, answer", [("openai/gsm8k", "#### 7"), ("math_dapo", "Answer: 7")])
def test_rewards_of_verl_get_no_text_of_a_tool_either(source, answer):
    solution = f"look{answer}look"
    for turns, score in ((["look", "look"], 0.0), (["look", ""], 0.0), (["look", f"so {answer}"], 1.0)):
        assert (reward(source, solution, "7", {MODEL_TURNS: turns})["score"] > 0.5) == bool(score)


@pytest.mark.parametrize(
    "source, truth, answer, details",
    [
        ("axpo/embedded_colour", "red", "<answer>red</answer>", None),
        ("axpo/my_set", "red", "<answer>red</answer>", {"type": "tag"}),
        ("axpo/vstar", "B", "B", None),
        ("axpo/mathvision", "7", r"\boxed{7}", None),
        ("axpo/dynamath", "7.0", "7.0", {"answer_type": "float"}),
        ("axpo/fvqa", "red", "<answer>red</answer>", None),  # judged, by rules
        ("axpo/mmsearch", "red", "red", {"type": "f1"}),
        ("openai/gsm8k", "72", "#### 72", None),
    ],
)
def test_thinking_is_required_of_every_kind_of_row(source, truth, answer, details):
    info = {} if details is None else {"scoring": json.dumps(details)}
    options = {"thinking": "required", "judge": {"fallback": "rules"}}
    tool = "user\n<tool_response>\nx\n</tool_response>\nassistant\n"
    call = f"<tool_call>{json.dumps({'name': 'x', 'arguments': {'note': answer}})}</tool_call>"
    for text in (
        answer,
        f"Perhaps {answer}",
        f"look</think>{call}{tool}{answer}",
        f"<think>{answer}",
        f"{answer}</think>",
    ):
        assert reward(source, text, truth, info, **options)["score"] == 0.0, text
    for text in (f"look</think>\n\n{call}", f"look</think>{call}{tool}hm</think>{call}"):
        if source.startswith("axpo/"):
            assert reward(source, text, truth, info, **options)["score"] == 0.0, text
    for text in (f"so</think>\n\n{answer}", f"look</think>{call}{tool}so</think>\n\n{answer}"):
        assert reward(source, text, truth, info, **options)["score"] == 1.0, text
