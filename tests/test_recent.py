"""The last few things that were made."""

import numpy as np

from gradcheck.recent import OfArrays, Recent


def test_the_last_things_are_kept_and_the_oldest_goes():
    recent, made = Recent(2), []

    def thing(key):
        return recent.get(key, lambda: made.append(key) or key.upper())

    assert [thing(key) for key in "aba"] == ["A", "B", "A"]
    assert made == ["a", "b"]
    assert [thing(key) for key in "cba"] == ["C", "B", "A"]  # c drove out a, and a then b
    assert made == ["a", "b", "c", "a"]
    recent.clear()
    assert thing("c") == "C"
    assert made[-1] == "c"
    assert len(made) == 5


def test_what_follows_from_an_array_is_kept_while_nobody_can_write_to_it():
    kept, array, made = OfArrays(2), np.arange(3.0), []

    def total(*words):
        return kept.get(array, lambda: made.append(words) or float(array.sum()), *words)

    assert [total(), total()] == [3.0, 3.0]
    array[0] = 4.0
    assert total() == 7.0
    assert len(made) == 3
    array.flags.writeable = False
    assert [total(), total(), total("half"), total("half")] == [7.0] * 4
    assert made[3:] == [(), ("half",)]
