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


def lines() -> list[str]:
    """A table for each group."""
    found: list[str] = []
    for group in GROUPS:
        found += [f"### {group[0].upper()}{group[1:]}", ""]
        found += ["| name | unit | per | definition | needs |", "| --- | --- | --- | --- | --- |"]
        for family, (quantity, *others) in FAMILIES.items():
            if quantity.group != group:
                continue
            more = [f"Positive: {quantity.positive}"] if quantity.positive else []
            more += [f"0: {quantity.neutral}"] if quantity.neutral else []
            more += [quantity.limits] if quantity.limits else []
            words = " ".join([quantity.definition, *(f"{m[0].upper()}{m[1:]}." for m in more)])
            name = f"`{family}`" + (" (L, R)" if others else "")
            unit = quantity.unit or "–"
            found.append(f"| {name} | {unit} | {quantity.per} | {words} | {needs(quantity)} |")
        found.append("")
    return found


if __name__ == "__main__":
    print("\n".join(lines()))
