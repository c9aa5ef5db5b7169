"""How much of a suggestion a developer keeps who is about to type what really stands there. Strings only.

The rule. Suggestion and truth are compared character by character from the cursor on. The longest agreeing prefix is
cut back to the last place where neither of the two is inside a word, as editors accept suggestions word by word; a
run of letters, digits and underscores is a word, a run of operator signs (such as `==`) is one too, and every other
sign stands alone. Blanks and line ends behind the last word kept are not counted: they help nobody. What the suggestion
says beyond the prefix is neither kept nor punished here; its cost stands in joules.
"""

from __future__ import annotations

from engine.completion.words import inside_word
from engine.prefix import common_prefix


def kept_characters(suggestion: str, truth: str) -> int:
    """The number of characters of the suggestion that are kept.

    Args:
        suggestion: What is offered at the cursor.
        truth: What stands behind the cursor in the finished file, or what full depth said.
    """
    agreed = common_prefix(suggestion, truth)
    while agreed and (inside_word(suggestion, agreed) or inside_word(truth, agreed)):
        agreed -= 1
    return len(suggestion[:agreed].rstrip())
