"""From messages to tokens: which special tokens stand around them, and the same as a template for transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui_gpt.engine.text.dialogues.conversation import ROLES, Message, Role
from tui_gpt.engine.text.tokenizer import Tokenizer

END = "<|end|>"
ROLE_TOKENS: dict[Role, str] = {role: f"<|{role}|>" for role in ROLES}
CHAT_TOKENS = (*ROLE_TOKENS.values(), END)
"""What a tokenizer gets that has no tokens for conversations."""

TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CHATML_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_CHATML_BEGIN, _CHATML_END = "<|im_start|>", "<|im_end|>"


@dataclass(frozen=True)
class DialogueTokens:
    """A conversation as tokens."""

    ids: list[int]
    answers: list[bool]
    """Of each token, whether an answer consists of it: what the assistant says, and the token that ends it."""
    turns: list[int]
    """Where something is asked: there a conversation can be cut without parting an answer from its question."""


class ChatFormat:
    """How one tokenizer writes conversations."""

    def __init__(self, tokenizer: Tokenizer, *, chatml: bool) -> None:
        self._tokenizer = tokenizer
        self._chatml = chatml
        specials = tokenizer.specials
        self.end_id = specials[_CHATML_END if chatml else END]
        """Ends every message."""
        self._begin = {role: (specials[_CHATML_BEGIN] if chatml else specials[ROLE_TOKENS[role]]) for role in ROLES}

    @property
    def template(self) -> str:
        """The same as a Jinja template: transformers makes these very tokens of it."""
        return CHATML_TEMPLATE if self._chatml else TEMPLATE

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens at which an answer is over: its end, or somebody else's beginning."""
        return frozenset((self.end_id, *self._begin.values()))

    def encode(self, messages: Sequence[Message], *, answer_next: bool = False) -> DialogueTokens:
        """The tokens of a conversation; with `answer_next`, and of the beginning of an answer.

        Special tokens are not recognised in what is said. Raises CorpusError where the tokenizer cannot represent a
        character.
        """
        ids: list[int] = []
        answers: list[bool] = []
        turns: list[int] = []
        for role, content in messages:
            if role == "user":
                turns.append(len(ids))
            before, said = self._said(role, content)
            after = self._tokenizer.encode("\n") if self._chatml else []
            ids += [*before, *said, self.end_id, *after]
            is_answer = role == "assistant"
            answers += [False] * len(before) + [is_answer] * (len(said) + 1) + [False] * len(after)
        if answer_next:
            before, _ = self._said("assistant", "")
            ids += before
            answers += [False] * len(before)
        return DialogueTokens(ids, answers, turns)

    def _said(self, role: Role, content: str) -> tuple[list[int], list[int]]:
        """The tokens that begin a message, and those of its content."""
        begin = [self._begin[role]]
        if not self._chatml:
            return begin, self._tokenizer.encode(content)
        # Role and content are one piece of text for whoever encodes the template's: so they are here.
        heading = self._tokenizer.encode(f"{role}\n")
        whole = self._tokenizer.encode(f"{role}\n{content}")
        common = next((i for i, (a, b) in enumerate(zip(heading, whole, strict=False)) if a != b), len(heading))
        return begin + whole[:common], whole[common:]


def chat_format(tokenizer: Tokenizer) -> ChatFormat | None:
    """How the tokenizer writes conversations; None for one that knows no tokens and no template for them.

    Of templates made elsewhere, those of ChatML's form are known; no template is ever run here.
    """
    template, specials = tokenizer.chat_template, tokenizer.specials
    if template is None:
        return None
    if template == TEMPLATE and all(token in specials for token in CHAT_TOKENS):
        return ChatFormat(tokenizer, chatml=False)
    if _CHATML_BEGIN in template and _CHATML_BEGIN in specials and _CHATML_END in specials:
        return ChatFormat(tokenizer, chatml=True)
    return None


def end_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens at which what is written is over: the end of a text, and where an answer ends."""
    found = chat_format(tokenizer)
    text = frozenset() if tokenizer.eot_id is None else frozenset((tokenizer.eot_id,))
    return text if found is None else text | found.end_ids


def with_chat(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that can write conversations: the same one where it can, else with CHAT_TOKENS behind its tokens.

    A template made elsewhere may do more than ours, which a model that learns by ours would not know: ours takes its
    place.
    """
    found = chat_format(tokenizer)
    if found is not None and tokenizer.chat_template == found.template:
        return tokenizer
    if _CHATML_BEGIN in tokenizer.specials and _CHATML_END in tokenizer.specials:
        return tokenizer.for_chat((), CHATML_TEMPLATE, _CHATML_END)
    return tokenizer.for_chat(CHAT_TOKENS, TEMPLATE, END)
