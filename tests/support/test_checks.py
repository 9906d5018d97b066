"""One form of error for every argument."""

import fractions

import numpy as np
import pytest

from tf_taintradar.support.checks import (
    check_fraction,
    check_integer,
    check_not_negative,
    check_positive,
    is_in_unit_interval,
    require,
)


def refusal(check, *arguments, **settings):
    with pytest.raises(ValueError) as error:
        check(*arguments, **settings)
    return str(error.value)


def test_an_error_says_what_was_expected_what_was_received_and_what_to_do():
    require(True, "side", 3, "even")
    assert refusal(require, False, "side", 3, "even") == "`side` must be even. Received: 3."
    assert refusal(require, False, "side", "3", "even", "Pass 2.") == (
        "`side` must be even. Received: '3'. Pass 2."
    )


@pytest.mark.parametrize("value", [2, np.int64(2), True + 1])
def test_integers_of_any_type_become_int(value):
    assert type(check_integer("n", value, 2, 3)) is int
    assert check_integer("n", value, 1) == 2


@pytest.mark.parametrize("value", [1, 5, 2.0, "2", None, np.arange(2)])
def test_other_values_are_no_integer_in_the_range(value):
    told = refusal(check_integer, "n", value, 2, 5)
    assert told == f"`n` must be an integer from 2 to 4. Received: {value!r}."


def test_an_integer_without_a_limit():
    assert check_integer("n", 10**12, 2) == 10**12
    assert refusal(check_integer, "n", 1, 2).startswith("`n` must be an integer of at least 2. ")


@pytest.mark.parametrize("value", [0, -1, float("nan"), "1", None])
def test_positive_numbers(value):
    check_positive("sigma", 1e-9)
    assert refusal(check_positive, "sigma", value) == (
        f"`sigma` must be positive. Received: {value!r}."
    )


@pytest.mark.parametrize("value", [-1e-9, float("nan"), "1", None])
def test_numbers_that_are_not_negative(value):
    check_not_negative("weight", 0)
    assert refusal(check_not_negative, "weight", value) == (
        f"`weight` must be 0 or more. Received: {value!r}."
    )


@pytest.mark.parametrize("value", [0, -0.5, 1.01, float("nan"), "0.5", None, [0.5]])
def test_fractions(value):
    for fraction in (0.5, np.float32(0.5), fractions.Fraction(1, 2), 1):
        assert is_in_unit_interval(fraction)
        check_fraction("share", fraction)
    assert not is_in_unit_interval(value)
    assert refusal(check_fraction, "share", value) == (
        f"`share` must be a fraction in (0, 1]. Received: {value!r}."
    )


def test_a_fraction_below_one():
    check_fraction("share", 0.99, is_one_allowed=False)
    told = refusal(check_fraction, "share", 1, is_one_allowed=False)
    assert told == "`share` must be a fraction in (0, 1). Received: 1."
