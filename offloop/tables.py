"""Tables of a TOML file, read strictly: a key that does not exist is a mistake."""

from pydantic import BaseModel, ConfigDict, model_validator


class Table(BaseModel):
    """Base of what is written in a file: immutable, and with no keys but its own."""

    # The text below a field describes it: in the reference of experiment files, and in editors.
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _knows_its_keys(cls, table: object) -> object:
        # Before pydantic says so: it would not say which keys there are.
        if isinstance(table, dict) and (unknown := table.keys() - cls.model_fields.keys()):
            raise ValueError(
                f"there is no key {', '.join(map(repr, sorted(unknown)))}; "
                f"there is {', '.join(cls.model_fields)}"
            )
        return table
