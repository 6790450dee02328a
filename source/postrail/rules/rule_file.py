"""The form of a rule file. What the file means is checked when it becomes a `RuleSet`."""

from typing import Annotated

from pydantic import Field

from postrail.config_files import ConfigModel
from postrail.contracts.payment import RuleOutcome

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
RuleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{2,63}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=600)]
Reason = Annotated[str, Field(min_length=1, max_length=120)]
Condition = Annotated[str, Field(min_length=1, max_length=2000)]
MinorOrCount = Annotated[int, Field(ge=0, lt=2**62)]
Value = str | int | bool | None


class RuleTest(ConfigModel):
    """One example that lives beside its rule: the baseline with `given` on top must match, or must not."""

    given: dict[Name, Value] = Field(default_factory=dict, max_length=40)
    matches: bool


class Rule(ConfigModel):
    """One rule. `when` is a CEL expression over the inputs, lists and limits; it must give a boolean."""

    id: RuleId
    description: Sentence
    when: Condition
    outcome: RuleOutcome
    reason: Reason = Field(description="what an analyst or a customer's adviser reads when the rule matches")
    tests: Annotated[tuple[RuleTest, ...], Field(min_length=2, max_length=50)]


class Example(ConfigModel):
    """One payment that goes through the whole set: all rules that must match, and the outcome."""

    name: Sentence
    given: dict[Name, Value] = Field(default_factory=dict, max_length=40)
    hits: Annotated[tuple[RuleId, ...], Field(max_length=100)]
    outcome: RuleOutcome


class RuleSetFile(ConfigModel):
    """A whole rule file (config/rules/*.yaml)."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{2,63}$")]
    version: Annotated[str, Field(pattern=r"^[0-9]{4}(\.[0-9]{1,3}){1,2}$")] = Field(
        description="year.number, raised by hand with every change"
    )
    description: Sentence
    lists: Annotated[
        dict[Name, Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=5000)]],
        Field(max_length=50),
    ] = Field(default_factory=dict)
    limits: Annotated[
        dict[
            Name,
            MinorOrCount | Annotated[dict[Annotated[str, Field(max_length=64)], MinorOrCount], Field(max_length=500)],
        ],
        Field(max_length=50),
    ] = Field(default_factory=dict, description="an integer, or integers by key (such as minor units by currency)")
    baseline: Annotated[dict[Name, Value], Field(max_length=40)] = Field(
        description="every input of an ordinary payment; tests and examples put their `given` on top of it"
    )
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=500)]
    examples: Annotated[tuple[Example, ...], Field(max_length=500)] = ()
