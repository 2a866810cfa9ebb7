"""Every step of a training run has something to learn; without it the loss is no number."""

import pytest

pytestmark = pytest.mark.usefixtures("measuring")


@pytest.fixture
def data():
    return pytest.importorskip("data")


@pytest.mark.parametrize("own_from", [200, 192])
def test_a_row_cut_before_its_first_own_token_is_left_out(data, own_from):
    own = [place >= own_from for place in range(240)]
    assert data.joined([data.Row([7] * 240, own, {}, bare=True)]) == []


def test_a_row_with_one_own_token_before_the_cut_is_kept(data):
    own = [place >= 191 for place in range(240)]
    (row,) = data.joined([data.Row([7] * 240, own, {}, bare=True)])
    assert len(row.ids) == len(row.own) == 192
    batch = data.collate([row], pad=0)
    assert (batch.targets >= 0).sum() == 1
