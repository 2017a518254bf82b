"""Names as supervisord's own code reads them."""

from __future__ import annotations

import pytest
from supervisor.options import split_namespec

from mutt_appliance.control.names import group_of, process_of, split


@pytest.mark.parametrize("name", ["alerter:0", "alerter:*", "alerter:", "alerter", "a:b:c", "", ":"])
def test_names_are_split_as_supervisord_does(name: str) -> None:
    assert split(name) == split_namespec(name)


def test_parts_of_a_name() -> None:
    assert (group_of("alerter:0"), process_of("alerter:0")) == ("alerter", "0")
