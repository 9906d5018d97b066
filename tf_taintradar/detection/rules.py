"""All rules by name, and the rule that `variant=` means."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

from tf_taintradar.detection.bands import Bands
from tf_taintradar.detection.by_window import Windows
from tf_taintradar.detection.cover import Cover
from tf_taintradar.detection.occlusion import Occlusion
from tf_taintradar.detection.paper import Paper
from tf_taintradar.detection.rule import Rule
from tf_taintradar.support.checks import require

__all__ = [
    "DEFAULT",
    "RULES",
    "Bands",
    "Cover",
    "Occlusion",
    "Paper",
    "Rule",
    "RuleSpec",
    "Windows",
    "make_rule",
    "names",
    "register_rule",
    "serialize_rule",
]

_ALL = (Occlusion, Windows, Bands, Cover, Paper)
RULES: dict[str, type[Rule]] = {rule.name: rule for rule in _ALL}
"""The rules by name, the default first; `register_rule` adds one."""

DEFAULT = Occlusion.name
"""The rule of a detector that is not told which."""

R = TypeVar("R", bound=type[Rule])


def register_rule(kind: R) -> R:
    """Adds a subclass of `Rule` to `RULES`, as a class decorator.

    From then on its name is a `variant` of `TaintRadarModel`, of saved detectors, of `evaluate` and
    of the command line. Register it before a detector with it is loaded.

    Raises:
        ValueError: it is not a rule with a name and a purpose, or another rule has its name.
    """
    is_rule = isinstance(kind, type) and issubclass(kind, Rule)
    expected = "a subclass of Rule with a `name` and a `purpose`"
    named = is_rule and all(isinstance(getattr(kind, a, None), str) for a in ("name", "purpose"))
    require(named, "kind", kind, expected)
    known = RULES.get(kind.name, kind)
    is_free = (known.__module__, known.__qualname__) == (kind.__module__, kind.__qualname__)
    require(is_free, "name", kind.name, "a name that no other rule has")
    RULES[kind.name] = kind
    return kind


def names() -> str:
    """The names of all rules, as an error or a help text lists them."""
    return ", ".join(RULES)


RuleSpec: TypeAlias = str | Rule | Mapping[str, Any]
"""A rule, as `make_rule` takes it: its name, the rule itself, or what `serialize_rule` returns."""


def make_rule(variant: RuleSpec, **settings: Any) -> Rule:
    """The rule that `variant` means.

    Args:
        variant: the name of a rule, a rule, or what `serialize_rule` made of one.
        settings: settings of the rule, allowed only if `variant` is a name. None means the default.

    Raises:
        ValueError: there is no such rule, or it has no such setting.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if isinstance(variant, Mapping):
        kind = _find(variant.get("name"))
        return kind.from_config(dict(variant.get("config", {})))
    if isinstance(variant, Rule):
        for name, value in given.items():
            require(False, name, value, "left out: `variant` is a rule, which has its settings")
        return variant
    kind = _find(variant)
    for name, value in given.items():
        require(name in _settings_of(kind), name, value, f"left out: {why_foreign(name, kind)}")
    return kind(**given)


def serialize_rule(rule: Rule) -> str | dict[str, Any]:
    """Describes a rule, ready for JSON, so that `make_rule` can make it again.

    The description is just the name if all settings are the defaults or arguments of
    `TaintRadarModel`.
    """
    config, fields = rule.get_config(), dataclasses.fields(rule)
    defaults = {field.name: field.default for field in fields if field.name in config}
    return rule.name if config == defaults else {"name": rule.name, "config": config}


def why_foreign(setting: str, rule: Rule | type[Rule]) -> str:
    """Says which rules have this setting, for an error about one that has not."""
    owners = " and ".join(repr(own.name) for own in RULES.values() if setting in _settings_of(own))
    return f"it belongs to variant {owners}, this detector's is {rule.name!r}"


def _find(name: Any) -> type[Rule]:
    known = isinstance(name, str) and name in RULES
    require(known, "variant", name, f"a rule, or the name of one: {names()}")
    return RULES[name]


def _settings_of(kind: type[Rule]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}
