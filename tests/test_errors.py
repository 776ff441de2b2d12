"""What messages say of an exception."""

from kdsearch.errors import described, one_line


def test_the_first_line_of_an_error_is_told() -> None:
    assert described(ValueError("one.\ntwo")) == "ValueError: one"
    assert described(KeyError()) == "KeyError"
    assert one_line(ValueError("\n  one\ntwo")) == "one"
    assert one_line(ValueError()) == "ValueError"
