from offloop.measuring.results import Detail, ExperimentResult, FilledTable
from offloop.measuring.verdicts import Status, Verdict
from offloop.pages.table import shown

OWN = FilledTable(headings=["", "ratio"], rows=[["inline", "100.0"]])


def result(table: FilledTable | None) -> ExperimentResult:
    return ExperimentResult(
        verdict=Verdict.PASS,
        title="",
        load={},
        arms={"naive": {"stack.processes": 2.0}},
        details={"naive": {"stack.processes": Detail(status=Status.MEASURED, n=1)}},
        blocks=[{"naive": {}}],
        judged_blocks=[0],
        table=table,
    )


def test_without_a_table_of_its_own_an_experiment_shows_every_measure() -> None:
    found = shown(result(None))

    assert found.headings == ["1 block", "naive"]
    assert found.rows == [["processes", "2"]]
    assert found.figures


def test_with_a_table_of_its_own_it_shows_that_alone() -> None:
    found = shown(result(OWN))

    assert found.headings == ["1 block", "ratio"]
    assert found.rows == [["inline", "100.0"]]
    assert not found.figures
