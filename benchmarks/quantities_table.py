"""Print the table of docs/reference/quantities.md from hypopose.quantities.QUANTITIES.

python benchmarks/quantities_table.py
"""

from __future__ import annotations

from hypopose.quantities import FAMILIES, GROUPS, Quantity


def needs(quantity: Quantity) -> str:
    """What a quantity depends on besides the pose."""
    words = {
        "scale": quantity.scale, "vertical": quantity.vertical, "root": quantity.placed,
        "frame rate": quantity.timed,
    }  # fmt: skip
    return ", ".join(word for word, needed in words.items() if needed) or "–"


def measured(family: str, definition: str) -> tuple[str, str]:
    """The family that a range or a speed is of, and a definition for all families like it."""
    base, _, kind = family.rpartition("_")
    base = base.removesuffix("_angular")
    if kind in ("range", "velocity"):
        return base, definition.replace(base, "the angle")
    if kind in ("speed", "acceleration"):
        return base, definition.replace(f"of the {base} ", "of the joint ")
    return family, definition


def described(family: str, quantity: Quantity) -> str:
    """Definition, sign, zero and limits, without those that the angle's own row says."""
    base, definition = measured(family, quantity.definition)
    own = FAMILIES[base][0] if base != family and base in FAMILIES else None
    more = []
    for title, name in (("Positive: ", "positive"), ("0: ", "neutral"), ("", "limits")):
        value = getattr(quantity, name)
        if value and (own is None or value != getattr(own, name)):
            text = f"{title}{value}"
            more.append(f"{text[0].upper()}{text[1:]}.")
    return " ".join([definition, *more])


def rows(group: str) -> list[str]:
    """A row for each definition; families that share it stand in one."""
    names: dict[str, list[str]] = {}
    for family, (quantity, *others) in FAMILIES.items():
        if quantity.group != group:
            continue
        row = (
            f"{quantity.unit or '–'} | {quantity.per} | {described(family, quantity)} | "
            f"{needs(quantity)}"
        )
        names.setdefault(row, []).append(f"`{family}`" + (" (L, R)" if others else ""))
    return [f"| {', '.join(same)} | {row} |" for row, same in names.items()]


def lines() -> list[str]:
    """A table for each group."""
    found: list[str] = []
    for group in GROUPS:
        found += [f"### {group[0].upper()}{group[1:]}", ""]
        found += ["| name | unit | per | definition | needs |", "| --- | --- | --- | --- | --- |"]
        found += [*rows(group), ""]
    return found


if __name__ == "__main__":
    print("\n".join(lines()))
