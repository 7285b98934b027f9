"""What an experiment file asks theory to predict."""

from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from offloop.bench.theory import FORMULAS
from offloop.tables import Table


class Prediction(Table):
    """One measure of one arm that theory is to predict; only a name is a formula for naive."""

    formula: str
    """Name of a formula in `offloop/bench/theory.py`. In place of the table, the name alone is
    enough."""
    arm: str = "naive"
    """The arm that it is about."""

    @model_validator(mode="after")
    def _knows_its_formula(self) -> Self:
        if self.formula not in FORMULAS:
            raise ValueError(
                f"{self.formula!r} is not a formula of offloop.bench.theory; "
                f"there is {', '.join(FORMULAS)}"
            )
        return self


def _name_alone(value: object) -> object:
    return {"formula": value} if isinstance(value, str) else value


#: As a file writes it: a table, or the name of the formula alone.
AnyPrediction = Annotated[
    Prediction, BeforeValidator(_name_alone, json_schema_input_type=str | Prediction)
]
