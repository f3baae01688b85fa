"""The papers' figures: each that the report asks for exists once."""

from __future__ import annotations

import pytest

from experiments import papers


def test_figures_are_complete() -> None:
    figures = papers.load()
    assert len(figures) > 40
    assert {figure.status for figure in figures} == {"primary", "second-hand", "unconfirmed"}


def test_find() -> None:
    assert papers.find("Table 2", "warm start latency NOP").number == 3.5


def test_find_needs_exactly_one() -> None:
    with pytest.raises(KeyError, match="0 figures"):
        papers.find("Table 9", "no such metric")
