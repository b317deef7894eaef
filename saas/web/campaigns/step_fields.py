"""The inputs that forms of steps are made of: from a step to texts, from texts back to the step, where a fault stands.

Values are the texts of the form, by the names of its inputs. What cannot be read is handed on as it was typed: the
schema of the API says what is wrong with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, Final, Protocol

from werkzeug.datastructures import MultiDict

from saas.campaigns.steps.kind import Raw
from saas.web.forms import whole

Values = Mapping[str, Any]
SPARE: Final = 2
UNITS: Final[Mapping[str, int]] = {"minutes": 1, "hours": 60, "days": 24 * 60}


class Part(Protocol):
    """A part of a form. `own` returns the fields of the step that it speaks of, those without a value left out."""

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        ...

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        ...

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        ...

    def places(self, values: Values) -> Mapping[str, str]:
        """Return where a fault is shown: JSON pointer below the step to the name of an input."""
        ...


def tidy(text: str) -> str:
    """Return a typed text with the line ends that templates are kept with."""
    return text.replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Text:
    """One text, or one choice of several."""

    name: str

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        return {self.name: str(step.get(self.name) or "")}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        return {self.name: tidy(form.get(self.name, ""))}

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        text = str(values[self.name])
        return {self.name: text.strip() if "\n" not in text else text} if text.strip() else {}

    def places(self, _: Values) -> Mapping[str, str]:
        """Return where a fault is shown."""
        return {f"/{self.name}": self.name}


@dataclass(frozen=True, slots=True)
class Number(Text):
    """A whole number, not negative."""

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        found = whole(values[self.name])
        return {} if found is None else {self.name: found}


@dataclass(frozen=True, slots=True)
class StepNo(Number):
    """The number of another step, chosen from a list."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A whole number with a word that says its sign: `<name>_sign` is the word of the negative ones, or another."""

    name: str
    negative: str

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        value = step.get(self.name)
        sign = self.negative if isinstance(value, int) and value < 0 else ""
        return {self.name: str(abs(value)) if value else "", f"{self.name}_sign": sign}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        return {name: form.get(name, "").strip() for name in (self.name, f"{self.name}_sign")}

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        found = whole(values[self.name])
        if isinstance(found, int) and values[f"{self.name}_sign"] == self.negative:
            found = -found
        return {} if found is None else {self.name: found}

    def places(self, _: Values) -> Mapping[str, str]:
        """Return where a fault is shown."""
        return {f"/{self.name}": self.name}


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    name: str
    unless_said: bool = False

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        return {self.name: bool(step.get(self.name, self.unless_said))}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        return {self.name: self.name in form}

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        return {self.name: values[self.name]}

    def places(self, _: Values) -> Mapping[str, str]:
        """Return where a fault is shown."""
        return {f"/{self.name}": self.name}


@dataclass(frozen=True, slots=True)
class Listed:
    """Some names with commas between them."""

    name: str

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        return {self.name: ", ".join(step.get(self.name) or ())}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        return {self.name: form.get(self.name, "")}

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        return {self.name: [part.strip() for part in values[self.name].split(",") if part.strip()]}

    def places(self, _: Values) -> Mapping[str, str]:
        """Return where a fault is shown."""
        return {f"/{self.name}": self.name}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in minutes, typed as a number and its unit, `<name>_unit`."""

    name: str
    unit: str = "minutes"

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        return dict(zip((self.name, f"{self.name}_unit"), span_shown(step.get(self.name), self.unit), strict=True))

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        return {name: form.get(name, "").strip() for name in (self.name, f"{self.name}_unit")}

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        found = whole(values[self.name])
        if isinstance(found, int):
            found *= UNITS.get(values[f"{self.name}_unit"], 1)
        return {} if found is None else {self.name: found}

    def places(self, _: Values) -> Mapping[str, str]:
        """Return where a fault is shown."""
        return {f"/{self.name}": self.name}


@dataclass(frozen=True, slots=True)
class Rows:
    """A table with a line for each part. `<stem>_<column>` are its inputs; a line without any of `counts` is none.

    keyed: lines have keys of their own, `<stem>_key`, which stay as long as the line does.
    """

    name: str
    stem: str
    columns: Sequence[str]
    counts: Sequence[str]
    keyed: bool = False
    least: int = 0

    def shown(self, step: Raw) -> dict[str, Any]:
        """Return the texts of its inputs."""
        rows = [self._text(each) for each in step.get(self.name) or ()]
        return {self.name: self._spare(rows)}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        """Read its inputs."""
        names = ("key", *self.columns) if self.keyed else self.columns
        typed = zip(*(form.getlist(f"{self.stem}_{column}") for column in names), strict=False)
        rows = [dict(zip(names, (text.strip() for text in line), strict=True)) for line in typed]
        rows = [row for row in rows if any(row[column] for column in self.counts)]
        return {self.name: self._spare(self._with_keys(rows) if self.keyed else rows)}

    def filled(self, values: Values) -> list[dict[str, str]]:
        """Return the lines that say something."""
        return [row for row in values[self.name] if any(row[column] for column in self.counts)]

    def own(self, values: Values) -> dict[str, Any]:
        """Return the fields of the step."""
        return {self.name: [{name: text for name, text in row.items() if text} for row in self.filled(values)]}

    def places(self, values: Values) -> Mapping[str, str]:
        """Return where a fault is shown."""
        found = {f"/{self.name}": self.name}
        for no, _ in enumerate(values[self.name]):
            found[f"/{self.name}/{no}"] = f"{self.stem}_{self.columns[0]}_{no + 1}"
            found |= {f"/{self.name}/{no}/{column}": f"{self.stem}_{column}_{no + 1}" for column in self.columns}
        return found

    def _text(self, row: Mapping[str, Any]) -> dict[str, str]:
        names = ("key", *self.columns) if self.keyed else self.columns
        found = {name: _plain(row.get(name)) for name in names}
        if self.keyed and not any(found[column] for column in self.counts):
            found["name"] = found["key"].upper()
        return found

    def _spare(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        names = ("key", *self.columns) if self.keyed else self.columns
        return [*rows, *(dict.fromkeys(names, "") for _ in range(max(SPARE, self.least - len(rows))))]

    def _with_keys(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        taken = {row["key"] for row in rows}
        free = (key for key in (*ascii_lowercase, *(f"way_{no}" for no in range(1, 100))) if key not in taken)
        return [row if row["key"] else {**row, "key": next(free)} for row in rows]


def span_shown(minutes: object, unit: str = "minutes") -> tuple[str, str]:
    """Return minutes as a number with the largest unit that says them exactly."""
    if not isinstance(minutes, int) or isinstance(minutes, bool):
        return "", unit
    fitting = [name for name, size in UNITS.items() if minutes % size == 0 and (minutes or size == 1)]
    return str(minutes // UNITS[fitting[-1]]), fitting[-1]


def _plain(value: object) -> str:
    """Return a value as it is typed: 50 for 50.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
