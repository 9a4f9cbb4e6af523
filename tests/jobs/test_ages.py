"""How old things are where the clock is set while the server runs."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from airgap.jobs.ages import Ages

DAY = 86_400.0


@dataclass
class Machine:
    """Its clock, and what has passed since it was started."""

    clock: float = 1_000_000.0
    passed: float = 50.0

    def __post_init__(self) -> None:
        self.ages = Ages(lambda: self.clock, lambda: self.passed)

    def wait(self, seconds: float) -> None:
        self.clock += seconds
        self.passed += seconds

    def leap(self, by: float) -> None:
        self.clock += by
        self.ages.look()


def test_a_leap_forward_makes_nothing_older() -> None:
    machine = Machine()
    before = machine.clock
    machine.wait(100)
    machine.leap(DAY)
    after = machine.clock
    assert machine.ages.of(before) == 100
    machine.wait(7)
    assert (machine.ages.of(before), machine.ages.of(after)) == (107, 7)
    machine.leap(40 * 365 * DAY)
    machine.wait(3)
    assert (machine.ages.of(before), machine.ages.of(after), machine.ages.of(machine.clock)) == (110, 10, 0)


def test_a_leap_that_is_taken_back_leaves_things_as_old_as_they_are() -> None:
    machine = Machine()
    before = machine.clock
    machine.wait(10)
    machine.leap(2 * DAY)
    machine.wait(10)
    machine.leap(-2 * DAY)
    machine.wait(10)
    assert machine.ages.of(before) == 30
    machine.leap(DAY)
    machine.leap(-DAY / 2)
    assert machine.ages.of(before) == 30


def test_a_clock_that_is_set_back_erases_nothing_sooner() -> None:
    machine = Machine()
    before = machine.clock
    machine.leap(-DAY)
    after = machine.clock
    machine.wait(5)
    assert machine.ages.of(after) == 5
    assert machine.ages.of(before) <= 5


def test_a_clock_that_is_slewed_has_not_leapt() -> None:
    machine = Machine()
    before = machine.clock
    for _ in range(100):
        machine.wait(10)
        machine.leap(0.5)
    assert machine.ages.of(before) == 1050


@given(st.lists(st.tuples(st.floats(1, 1000), st.sampled_from([0, 0, DAY, 3 * DAY, -DAY, -3 * DAY]))))
def test_nothing_is_ever_older_than_the_time_that_passed(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    made: list[tuple[float, float]] = []
    for seconds, by in steps:
        made.append((machine.clock, machine.passed))
        machine.wait(seconds)
        machine.leap(by)
    for then, passed in made:
        assert machine.ages.of(then) <= machine.passed - passed + 1e-6
