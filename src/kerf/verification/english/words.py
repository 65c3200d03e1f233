"""The words of controlled English: tokens, numbers, and phrases with one meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TOKEN = re.compile(
    r"\d*'s?[bhdoBHDO][0-9a-fA-FxXzZ_?]+|\d+|\$?[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*(?:\[[^\]]*\])?|&&|\|\||[=!]==?|[<>]=?|[-(),~&|^!+*]|\S"
)
DROPPED = {"`", '"', "'", ".", ";", "‘", "’", "“", "”"}
NUMBERS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
           "eleven": 11, "twelve": 12, "sixteen": 16}  # fmt: skip
LITERAL = re.compile(r"\d*'s?[bhdo][0-9a-f_]+|\d+", re.I)


@dataclass(frozen=True)
class Token:
    """`text` as written, `word` as it is looked up."""

    text: str
    word: str


def tokens(sentence: str) -> list[Token]:
    """Words, numbers, names and signs; hyphens part words, quotation marks and full stops are dropped."""
    text = re.sub(r"(?<=\d)'?s\b(?!')", " bits", sentence)  # 1s, 1's
    text = re.sub(r"'([01])'", r"\1", text)
    text = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])|(?<=[01])-(?=[01h])", " ", text)
    found = [m[0] for m in TOKEN.finditer(text)]
    return [Token(t, t.lower()) for t in found if t not in DROPPED]


def number(word: str) -> str | None:
    """A literal of SystemVerilog for a number in digits or words."""
    if LITERAL.fullmatch(word):
        return word
    return str(NUMBERS[word]) if word in NUMBERS else None


def phrases(rows: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Meanings by their words; a key holds alternatives between bars."""
    found = {}
    for key, meaning in rows.items():
        for phrase in key.split("|"):
            found[tuple(phrase.split())] = meaning
    return found


IGNORED = phrases(
    {
        "the|a|an|that|both|also|then|simultaneously|at the same time|currently|now|of that|together|exactly|result|as well": ""
    }
)
LEAD = phrases({
    "check that|assert that|ensure that|verify that|make sure that|prove that|show that|it is required that|it must hold that|it must be that": "",
    "it must be the case that|it is true that|it should be true that|it is the case that|it holds that|that|property|assert|check|in every cycle|at all times|at every clock cycle": "",
    "at any time|always|it must always be true that|it is always true that|it must always be that|it is always the case that": "",
    "it should always be that|it must always hold that|it must be true that": "",
})  # fmt: skip
NEVER = phrases({
    "never|it is never the case that|it must never be the case that|it must never happen that|it never happens that|it should never be that": "",
    "it is never true that|it must never be true that|there is never|there must never be|it must not be that|it must not happen that": "",
    "it is not possible that|it cannot be that|it is impossible that|there should never be|it must never be that": "",
})  # fmt: skip
IF = phrases(
    {
        "if|when|whenever|every time|each time|any time|once|in case|as soon as|at any point where|provided that|given that|following|upon": "",
        "after": "after",
    }
)
WHEN = phrases(
    {
        "if|when|whenever|provided that|provided|in case|every time|each time|as long as|so long as": "",
        "after|one cycle after|the cycle after": "after",
        "only if|only when": "only",
    }
)
UNLESS = phrases(
    {
        "unless|except when|except if|except while|except during|unless in|disabled by|disabled during|ignoring": ""
    }
)
IFF = phrases(
    {"if and only if|iff|exactly when|is equivalent to|must be equivalent to|if but only if|just when": ""}
)
IMPLIES = phrases({"implies that|implies|means that|must imply|must imply that|requires that|requires": ""})
FOLLOWED = phrases({"is followed by|must be followed by|has to be followed by|should be followed by|shall be followed by|leads to|must lead to|is answered by|must be answered by": ""})  # fmt: skip
HOLDS = phrases({
    f"{the} {what} {verb}": ""
    for the in ("the", "this", "then the")
    for what in ("property", "condition", "requirement", "check", "assertion", "evaluation", "")
    for verb in ("holds", "holds true", "is satisfied", "is met", "passes", "must hold", "is true", "must be true", "must be met", "must be satisfied", "should hold", "is fulfilled", "succeeds")
})  # fmt: skip

AND = phrases(
    {"and|while|with|but|along with|as well as|&&|and also|and that|and if|and when|and whenever|yet": ""}
)
OR = phrases({"or|and or|\\|\\||or if|or when|or that|or whenever": ""}) | {("||",): ""}
XOR = phrases({"xor|xored with|xor with|exclusive or|xor d with|xor ed with|exclusive ored with|xor 'd with|exclusive or with|xor'd with|^": "^", "xnor|xnored with|xnor d with|exclusive nor": "~^"})  # fmt: skip
ARITHMETIC = phrases(
    {
        "plus|+": "+",
        "minus|-": "-",
        "nand|nanded with|nand d with": "nand",
        "nor d with|nored with": "nor",
        "anded with|and d with|bitwise and": "&",
        "ored with|or d with|bitwise or": "|",
    }
)
OPERATIONS = phrases({
    "and|conjunction": "&", "or|disjunction": "|", "xor|exclusive or|xor operation|exclusive or operation": "^",
    "nand": "~&", "nor": "~|", "xnor|exclusive nor|equivalence|negated xor": "~^",
    "inequality|difference in value": "!=", "equality|comparison": "==", "sum": "+", "difference": "-",
})  # fmt: skip
OPERATION_KIND = phrases({"bitwise|logical|reduction|boolean": ""})
OF = phrases({"of|between|operation of|operation between|reduction of|operation on|operation over|over": ""})
NEGATION = phrases({"negation of|bitwise negation of|logical negation of|complement of|bitwise complement of|inverse of|inversion of|opposite of|bitwise not of|logical not of": ""})  # fmt: skip
NOT = phrases({"not|!|~|no": ""})
UNARY = phrases({"negated|inverted|complemented|bitwise negated|logically negated|inverse": ""})
PAIRED = phrases(
    {"differ|are distinct|disagree": "!=", "match|agree|match each other|coincide": "=="}
)  # of two
SOME_TIME = phrases({"sometime|some time|at some point|anywhere|at any point|at any time|at some time": ""})
VALUE = phrases({"value of|current value of|result of|outcome of|bits of|state of|condition where|condition that|condition when|fact that|comparison of|case where|case that|values of|signal|signals|output|input|whether|combination of|evaluation of|this|the": ""})  # fmt: skip

IT = phrases({"it|this|this result|the result|the value|this value|this comparison|the result of this comparison|this condition|this combination|that result|this state|this combined state": ""})  # fmt: skip

MODAL = phrases({"must|should|will|shall|has to|have to|can|may|needs to|need to|is to|are to|would|might|to|ought to": "", "cannot|can not|must not|mustn't|should not|will not|shall not|may not": "not"})  # fmt: skip
COPULA = phrases({
    "is|are|be|was|were|been|becomes|become|stays|stay|remains|remain|equals to|have been|has been|hold|holds|keeps|keep|turn|turns|go|goes|get|gets|kept|is to be|is expected to be|is required to be|is supposed to be|are expected to be|are required to be": "",
    "isn't|aren't|wasn't": "not",
})  # fmt: skip
GERUND = phrases({"being": "", "not being": "not"})
ADVERB = phrases({
    "always": "always", "eventually|at some point|sooner or later|at some time": "eventually", "never": "never",
    "also|then|currently|now|continuously|consistently|all|each|still|again|only|just": "", "both|simultaneously": "both", "not": "not",
})  # fmt: skip
SAME_TIME = phrases(
    {
        "simultaneously|at the same time|together|at once|in the same cycle|in that cycle|in the same clock cycle": ""
    }
)

TRUE = phrases(
    {
        "high|true|asserted|set to 1|set to one|set to high|equal to true|set|active|on|enabled|satisfied|met|raised|up|logic one|logic high|logic 1|nonzero|non zero": ""
    }
)
FALSE = phrases(
    {
        "low|false|set to 0|set to zero|set to low|deasserted|de asserted|unset|inactive|off|disabled|cleared|clear|down|logic zero|logic low|logic 0": ""
    }
)
HOT = phrases({"one hot|onehot": "$onehot", "zero or one hot|at most one hot|0 1 hot|zero one hot|onehot0|one hot or zero": "$onehot0", "unknown": "$isunknown"})  # fmt: skip
COMPARED = phrases({
    "equal to|equal|the same as|same as|identical to|equivalent to|logically equivalent to|the same value as|matching|exactly equal to|in the same state as|checked for equality with|compared with|compared to|compared for equality with": "==",
    "different from|not equal to|unequal to|other than|different than|different to|in opposite states to|in the opposite state to|the opposite of|the complement of|the inverse of|the negation of|distinct from": "!=",
    "greater than or equal to|at least|at least as large as|at least as great as|at least as high as|as large as|no less than|not less than|>=|no smaller than": ">=", "less than or equal to|at most|no more than|not more than|<=|no greater than": "<=",
    "greater than|strictly greater than|more than|larger than|above|bigger than|>": ">", "less than|strictly less than|smaller than|below|fewer than|<": "<", "==|===": "==", "!=|!==": "!=",
})  # fmt: skip
VERBS = phrases({
    "equals|equal|matches|match|has the same value as|have the same value as|equaling|is the same as|agrees with|agree with|coincides with": "==",
    "differs from|differ from|does not equal|do not equal|does not match|do not match|not equal|not equaling": "!=", "exceeds|exceed": ">",
    "does not exceed|do not exceed|not exceed": "<=",
})  # fmt: skip
PLURAL = phrases({"either both high or both low|both high or both low|either both true or both false|both true or both false|either both low or both high|equal|the same|identical|the same value|equal values|equal to each other|in the same state|equivalent": "==", "different|unequal|different values|opposite|not equal|different from each other": "!="})  # fmt: skip
EDGES = phrases({
    "rises|rise|goes from 0 to 1|changes from low to high|switches from low to high|change from low to high|go from low to high|goes high|go high|transitions from low to high|transition from low to high|transitions to high|becomes high|is raised|gets asserted|becomes true|has a rising edge|changes from 0 to 1|goes from low to high|becomes asserted": "$rose",
    "falls|fall|goes from 1 to 0|changes from high to low|switches from high to low|change from high to low|go from high to low|goes low|go low|transitions from high to low|transition from high to low|transitions to low|becomes low|is lowered|gets deasserted|becomes false|drops|has a falling edge|changes from 1 to 0|goes from high to low|becomes deasserted": "$fell",
    "changes|change|toggles|toggle|changes its value|changes value|has changed|transitions|flips|does not remain stable|does not stay stable": "$changed",
    "remains stable|remain stable|stays stable|stay stable|is stable|are stable|be stable|remains unchanged|remain unchanged|is unchanged|are unchanged|be unchanged|stays unchanged|stay unchanged": "$stable",
    "does not change|do not change|not change|stays the same|stay the same|remains the same|remain the same|holds its value|hold its value|keeps its value|keep its value|retains its value|retain its value|stays constant|remains constant|stay constant|remain constant|never changes": "$stable",
})  # fmt: skip
FIGURES = {
    "one": "1",
    "ones": "1",
    "1": "1",
    "high": "1",
    "set": "1",
    "zero": "0",
    "zeros": "0",
    "zeroes": "0",
    "0": "0",
    "low": "0",
}
RESETS = re.compile(r"(\b|_|^n)(rst|reset|clear|clr)", re.I)
IN_RESET = phrases(
    {
        "reset|in reset|during reset|under reset|the reset|reset is active|the reset is active|reset is asserted|being reset|the design is in reset": ""
    }
)
