"""The arrays of a case: the same bits everywhere, and what their kind promises."""

import hashlib

import numpy as np
import pytest

from gradcheck.cases.case import ArraySpec, parse_case
from gradcheck.cases.inputs import COTANGENTS, KINDS, Bits, arguments_of, cotangent_of, make_array
from gradcheck.errors import UsageError
from gradcheck.formats import FORMATS

OPTIONS = {
    "near": (("at", (0.0, 0.5)),),
    "close": (("at", (0.0, 0.5)),),
    "indices": (("below", 7), ("ignore", -100)),
    "shares": (("axis", 1),),
    "mask": (("share", 0.75),),
    "lengths": (("low", 2), ("high", 5)),
    "offsets": (("total", 40),),
    "distinct": (("below", 12), ("row", 9)),
    "sweep": (("at", (0.0, 3.0)),),
}
#: First digits of the SHA-256 of a 16×9 array of each kind, seeded by (7, "x"), in float64, float32, float16, bfloat16.
#: They must never change: recorded cases are replayed from their line alone.
DIGESTS = {
    "ordinary": ("c3ca050c1314", "76bb9f8c577a", "37eb81a0a940", "849619bca290"),
    "integers": ("7d52a0af50e0", "7d52a0af50e0", "7d52a0af50e0", "7d52a0af50e0"),
    "ties": ("edbe3fac1099", "edbe3fac1099", "edbe3fac1099", "edbe3fac1099"),
    "wide": ("1f8e0f69c88d", "ddfafd7aecf2", "cbb0f9b8f210", "a0286b5a105b"),
    "subnormal": ("bbb30d4f49aa", "563128501d2e", "9c10c24ee4ce", "f688a5cf61bb"),
    "near": ("848e76161df1", "80e859824155", "82d1c3204fa5", "910fad8bbbcc"),
    "close": ("cbc5164226e1", "255ae94415e1", "5b06f835a7f7", "a6adfbef7aa4"),
    "special": ("c98de5a7b409", "00f8f47ac6d6", "32c095536663", "e9a3abda285d"),
    "rare": ("87543113f2e9", "fd18d93a7775", "efab5ced7c32", "2470de6fbcbd"),
    "huge": ("08d66502c0c4", "1af2d2ba85db", "52f8f985c28c", "0b6ee7a2ce90"),
    "large": ("5d85be41996e", "78e525080517", "c9dd67865028", "2ab54393a621"),
    "faint": ("453c39ff1c99", "9279f22a6087", "18a36f0cf051", "c0681ddfed60"),
    "edges": ("3c9050ed1118", "6110bc5feb53", "496ef48bbd97", "5dd8f233bf3f"),
    "repeated": ("385da0d097f3", "84dd848cca3f", "dd1a5619ef35", "dd1a5619ef35"),
    "every": ("3c9050ed1118", "6110bc5feb53", "b08f6f48ff96", "0f617a70a37f"),
    "sweep": ("6f93824888e9", "36c955ec8768", "9b21917ec70f", "8976f2a16217"),
    "unit": ("4132f2015649", "0971bb2ccee5", "fa3a92af57b6", "1047c557b67c"),
    "inner": ("924e437108cf", "b4b887a1a5ea", "ac443b87b513", "1947a683ec26"),
    "positive": ("305439c679b6", "54619caec46b", "15e5080140ec", "ced3378f4062"),
    "shares": ("e0597355ecea", "7e0ef0754b1a", "f76645f909d3", "2ba00165573a"),
    "indices": ("321f05a473e0", "321f05a473e0", "321f05a473e0", "321f05a473e0"),
    "mask": ("001dc2a48c54", "001dc2a48c54", "001dc2a48c54", "001dc2a48c54"),
    "lengths": ("e07976449926", "e07976449926", "e07976449926", "e07976449926"),
    "offsets": ("5a8865197979", "5a8865197979", "5a8865197979", "5a8865197979"),
    "distinct": ("15b4f7d919dd", "15b4f7d919dd", "15b4f7d919dd", "15b4f7d919dd"),
    "signs": ("a63acf4641bb", "a63acf4641bb", "a63acf4641bb", "a63acf4641bb"),
    "roots": ("848c9a3c131d", "1628f2e0e58e", "fa050be1c08c", "3645aaa491c4"),
}
RAW = [11373572723488959163, 17102388577862533241]


def example(kind, form, shape=(16, 9)):
    return make_array(ArraySpec(kind, shape, OPTIONS.get(kind, ())), form, 7, "x")


def digest(array):
    """NaNs count as one number, whatever their payload."""
    return hashlib.sha256(np.where(np.isnan(array), np.nan, array).tobytes()).hexdigest()[:12]


def test_every_kind_is_pinned():
    assert set(DIGESTS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_digests(kind):
    assert tuple(digest(example(kind, form)) for form in FORMATS.values()) == DIGESTS[kind]


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "indices"])
def test_values_are_numbers_of_the_format(kind, form):
    array = example(kind, form)
    assert array.shape == (16, 9)
    assert np.array_equal(form.round(array), array, equal_nan=True)


def test_the_raw_stream_is_philox():
    """A few plain numbers, so that a change of the generator itself is told from one of a kind."""
    assert Bits("a", 1).raw(2).tolist() == RAW
    assert Bits("a", 1).raw(0).size == 0


def test_words_and_names_seed():
    spec = ArraySpec("ordinary", (8,))
    form = FORMATS["float64"]
    arrays = [make_array(spec, form, *words) for words in ((1, "x"), (2, "x"), (1, "y"), (1, "x"))]
    assert np.array_equal(arrays[0], arrays[3])
    assert not np.array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


def points(kind, form, n=4000):
    return make_array(ArraySpec(kind, (n,), OPTIONS.get(kind, ())), form, 0, "x")


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
class TestPromises:
    def test_ordinary_is_bell_shaped(self, form):
        array = points("ordinary", form)
        assert np.abs(array).max() <= 4.0
        assert 0.5 < np.mean(np.abs(array) < 1.0) < 0.75

    def test_integers_and_ties(self, form):
        assert set(points("integers", form)) == set(range(-4, 5))
        assert set(points("ties", form)) == {-1.0, 0.0, 0.5, -0.5, 1.0}

    def test_special_has_them_all(self, form):
        for kind in ("special", "rare"):
            array = points(kind, form)
            assert np.isnan(array).any()
            assert {np.inf, -np.inf} <= set(array)
            assert set(np.signbit(array[array == 0.0])) == {True, False}

    def test_near_has_the_points_and_their_neighbours(self, form):
        array = points("near", form)
        assert {0.0, 0.5} <= set(array)
        for steps in (-3, -2, -1, 1, 2, 3):
            assert set(form.step(np.array([0.0, 0.5]), np.array(steps))) <= set(array)

    def test_close_is_on_both_sides_at_all_distances(self, form):
        distances = points("close", form)
        distances = distances[np.abs(distances - 0.5) < 0.25] - 0.5
        assert (distances > 0).any()
        assert (distances < 0).any()
        assert np.abs(distances[distances != 0]).min() <= 4.0 * form.roundoff

    def test_edges_are_the_named_ones(self, form):
        array = set(points("edges", form))
        named = {form.largest, form.smallest_normal, form.smallest_subnormal, 1.0, form.roundoff}
        assert named <= array
        assert form.step(np.array(form.largest), np.array(-1)).item() in array
        assert form.step(np.array(1.0), np.array(1)).item() in array

    def test_wide_subnormal_and_huge_are_where_they_say(self, form):
        exponents = np.log2(np.abs(points("wide", form)))
        assert exponents.max() > 6
        assert exponents.min() < form.minimum_exponent // 2 + 2
        assert (np.abs(points("subnormal", form)) < form.smallest_normal).any()
        huge = np.abs(points("huge", form))
        assert np.isfinite(huge).all()
        assert (huge > form.largest / 2).any()
        assert (huge < 4 * np.sqrt(form.largest)).any()

    def test_faint_are_logarithms_of_subnormals(self, form):
        array = np.abs(points("faint", form))
        assert (np.exp(-array) < 2.0 * form.smallest_normal).all()
        assert (form.round(np.exp(-array)) > 0.0).all()

    def test_every_is_everything(self, form):
        if form.bits == 16:
            bits = form.to_bits(points("every", form, 65536))
            numbers = ~np.isnan(form.from_bits(np.arange(65536)))
            assert np.array_equal(bits[numbers], np.arange(65536)[numbers])
        else:
            assert set(points("every", form)) == set(form.edges())

    def test_one_number_throughout(self, form):
        assert len(set(points("repeated", form))) == 1

    def test_probabilities(self, form):
        unit, positive = points("unit", form), points("positive", form)
        assert {0.0, 1.0} <= set(unit)
        assert ((unit >= 0.0) & (unit <= 1.0)).all()
        assert (positive > 0.0).all()
        rows = make_array(ArraySpec("shares", (5, 7), (("axis", 1),)), FORMATS["float64"], 0, "x")
        assert np.abs(rows.sum(axis=1) - 1.0).max() <= 7 * 2.0**-53

    def test_indices(self, form):
        array = points("indices", form)
        assert array.dtype == np.int64
        assert set(array) == {*range(7), -100}


def test_arguments_keep_hyperparameters_as_they_are():
    case = parse_case("nn.functional.softplus(x=ordinary(2, 3), beta=1.7) seed=4 dtype=bfloat16")
    arguments = arguments_of(case)
    assert arguments["beta"] == 1.7
    assert arguments["x"].shape == (2, 3)


@pytest.mark.parametrize("kind", COTANGENTS)
def test_cotangents(kind):
    case = parse_case("nn.functional.relu(x=ordinary(3)) seed=4 dtype=float16").on(cotangent=kind)
    cotangent = cotangent_of(case, (64,))
    assert np.array_equal(FORMATS["float16"].round(cotangent), cotangent)
    assert (set(cotangent) == {1.0}) == (kind == "ones")


def test_an_unknown_option_of_a_kind_is_a_sentence():
    with pytest.raises(UsageError, match="kind 'ordinary' has no option at"):
        make_array(ArraySpec("ordinary", (3,), (("at", (0.0,)),)), FORMATS["float32"], 0)
