"""The last few things that were made."""

from gradcheck.recent import Recent


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
