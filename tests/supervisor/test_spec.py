"""A child specification that cannot work is refused before anything is started."""

import pytest

from supervisor.errors import DuplicateChild, InvalidSpec, NoChildren
from supervisor.spec import ChildSpec, validated


def child(**changes):
    return ChildSpec(**({"id": "a", "argv": ("true",)} | changes))


def test_good_specs_come_back_in_their_order():
    specs = [child(id="b"), child(id="a-2")]
    assert validated(specs) == tuple(specs)


def test_no_children_at_all_are_refused():
    with pytest.raises(NoChildren):
        validated([])


def test_two_children_of_one_name_are_refused():
    with pytest.raises(DuplicateChild) as raised:
        validated([child(), child()])
    assert raised.value.child == "a"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "1st"),
        ("id", "a.b"),
        ("id", "a\n"),
        ("argv", ()),
        ("argv", ("",)),
        ("start_timeout_s", 0.0),
        ("stop_timeout_s", -1.0),
    ],
)
def test_what_cannot_work_is_refused_naming_the_field(field, value):
    with pytest.raises(InvalidSpec) as raised:
        validated([child(**{field: value})])
    assert raised.value.field == field
