"""Trial lists."""

import pytest

from ssrl_brain.data.trials import iterate_trials, read_trials


def test_trials_with_either_kind_of_label(tmp_path):
    path = tmp_path / "trials.txt"
    path.write_text("\ufeff1 a b\r\n\n0\ta   c\ntarget b a\nnontarget c a")
    labels, enrol, test = read_trials(path)
    assert labels.tolist() == [1, 0, 1, 0]
    assert enrol == ["a", "a", "b", "c"] and test == ["b", "c", "a", "a"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 a b\n2 a b\n", "line 2: expected 'label enrol test'"),
        ("1 a\n", "line 1: .* found '1 a'"),
        ("a b 1\n", "line 1"),
        ("\n\n", "has no trials"),
    ],
)
def test_malformed_lists_are_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "trials.txt").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_trials(tmp_path / "trials.txt")
    assert "\n" not in str(error.value)


def test_a_list_that_is_no_text_or_missing(tmp_path):
    (tmp_path / "trials.txt").write_bytes(b"1 \xff b\n")
    with pytest.raises(ValueError, match="not text in UTF-8"):
        read_trials(tmp_path / "trials.txt")
    with pytest.raises(FileNotFoundError, match="none.txt does not exist"):
        read_trials(tmp_path / "none.txt")


def test_line_numbers_count_empty_lines(tmp_path):
    (tmp_path / "trials.txt").write_text("\n1 a b\n\n0 a c\n")
    assert list(iterate_trials(tmp_path / "trials.txt")) == [
        (2, 1, "a", "b"),
        (4, 0, "a", "c"),
    ]
