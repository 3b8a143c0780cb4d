"""A setting is words of switches, written in one way; what is wrong about one is a sentence."""

import pytest

from gradcheck.cases.case import parse_case
from gradcheck.cases.settings import DEFAULT, SWITCHES, environment_of, normal_setting, words_of
from gradcheck.errors import UsageError

RELU = "nn.functional.relu(x=ordinary(3)) seed=1 dtype=float32"


def test_a_setting_is_read_by_switch():
    assert words_of("mkldnn=off,threads=2") == {"mkldnn": "off", "threads": "2"}
    assert words_of(DEFAULT) == {}
    assert normal_setting("threads=2,mkldnn=off") == "mkldnn=off,threads=2"
    assert normal_setting(DEFAULT) == DEFAULT


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_position_of_every_switch_is_taken(switch):
    for position in SWITCHES[switch] or ("1", "2", "16"):
        assert words_of(f"{switch}={position}") == {switch: position}


def test_a_case_prints_and_parses_its_setting():
    case = parse_case(f"{RELU} setting=threads=2,mkldnn=off")
    assert case.setting == "mkldnn=off,threads=2"
    assert str(case) == f"{RELU} setting=mkldnn=off,threads=2"
    assert parse_case(str(case)) == case
    assert parse_case(f"{RELU} setting=default") == parse_case(RELU)


def test_capability_is_for_the_environment():
    assert environment_of("capability=avx2,threads=2") == {"ATEN_CPU_CAPABILITY": "avx2"}
    assert environment_of("threads=2") == environment_of(DEFAULT) == {}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("", "'' is not known; expected default, or words such as mkldnn=off"),
        ("mkldnn", "'mkldnn' is not known"),
        ("mkl=off", "'mkl=off' is not known; expected default, or words such as mkldnn=off or threads=2"),
        ("mkldnn=off,", "'' is not known"),
        ("default,mkldnn=off", "'default' is not known"),
        ("mkldnn=maybe", "mkldnn=maybe; expected on or off"),
        ("mkldnn=off,mkldnn=on", "mkldnn stands twice"),
        ("threads=0", "threads=0; expected a whole number from 1 to 9999"),
        ("threads=two", "threads=two; expected a whole number"),
        ("matmul=low", "matmul=low; expected highest, high or medium"),
        ("autocast=float32", "autocast=float32; expected float16 or bfloat16"),
    ],
)
def test_what_is_wrong_is_named(setting, words):
    with pytest.raises(UsageError) as caught:
        words_of(setting)
    assert f"setting {setting!r}" in str(caught.value)
    assert words in str(caught.value)


def test_a_wrong_setting_in_a_line_is_named():
    with pytest.raises(UsageError, match="setting 'mkldnn=maybe': mkldnn=maybe; expected on or off"):
        parse_case(f"{RELU} setting=mkldnn=maybe")
