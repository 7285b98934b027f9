from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from reports.pricing import PricingSummary, decimal_text

# 17 pieces for 24,386.67 with 4% off and 2% tax, shipped on 1996-03-13: the first line of TPC-H.
LINE = (1, 1, 1700, 2438667, 4, 2, "N", "O", 9568)


@given(st.integers(min_value=0, max_value=10**20), st.integers(min_value=1, max_value=9))
def test_decimal_text_is_exact(value: int, places: int) -> None:
    assert decimal_text(value, places) == f"{Decimal(value).scaleb(-places):.{places}f}"


def test_a_line_is_priced_with_discount_then_tax() -> None:
    priced = PricingSummary().price([LINE])

    assert priced.disc_prices == [2438667 * 96]  # 23,411.2032
    assert priced.charges == [2438667 * 96 * 102]  # 23,879.427264


def test_the_summary_adds_up_over_chunks_and_is_sorted() -> None:
    other = (1, 2, 100, 100_00, 0, 0, "A", "F", 9568)
    pricing = PricingSummary()
    pricing.price([LINE, other])
    pricing.price([LINE])

    first, second = pricing.rows()

    assert (first.returnflag, first.linestatus, first.count_order) == ("A", "F", 1)
    assert first.sum_charge == "100.000000"
    assert second.model_dump() == {
        "returnflag": "N",
        "linestatus": "O",
        "sum_qty": "34.00",
        "sum_base_price": "48773.34",
        "sum_disc_price": "46822.4064",
        "sum_charge": "47758.854528",
        "count_order": 2,
    }


def test_no_lines_give_no_groups() -> None:
    pricing = PricingSummary()
    pricing.price([])

    assert pricing.rows() == ()
