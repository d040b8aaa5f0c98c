"""Which traces of an event are looked at, and which are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from spyral_core.signal.pad_pulses import ADC_MAX, count_beyond_adc
from spyral_core.traces.event import HEADER_COLUMNS


@settings(deadline=None, max_examples=200)
@given(
    hnp.arrays(np.int16, st.tuples(st.integers(0, 6), st.just(HEADER_COLUMNS + 20)), elements=st.integers(0, 4095)),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, HEADER_COLUMNS + 19), st.integers(-32768, 32767)), max_size=4),
)
def test_traces_beyond_the_adc_are_counted(traces: NDArray[np.int16], wild: list[tuple[int, int, int]]) -> None:
    for row, column, value in wild:
        if row < len(traces):
            traces[row, column] = value
    samples = traces[:, HEADER_COLUMNS:]
    assert count_beyond_adc(traces) == np.count_nonzero(((samples < 0) | (samples > ADC_MAX)).any(axis=1))


@pytest.mark.parametrize(("value", "expected"), [(4095, 0), (4096, 1), (-1, 1), (-32768, 1), (0, 0)])
def test_one_sample_is_enough(value: int, expected: int) -> None:
    traces = np.zeros((1, HEADER_COLUMNS + 512), np.int16)
    traces[0, -1] = value
    assert count_beyond_adc(traces) == expected
