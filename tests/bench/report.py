# SPDX-License-Identifier: BSD-2-Clause
"""Figures of several rounds as min-median-max, ratios pair by pair, and tables for a terminal."""

import statistics


def spread(values, digits=2):
    """'min-median-max' of a list of numbers, or a dash when there are none."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    return "  ".join(f"{value:.{digits}f}" for value in
                     (min(values), statistics.median(values), max(values)))


def ratios(ours, theirs):
    """Round by round: figures of one round were taken close together, those of two rounds were not."""
    return [a / b for a, b in zip(ours, theirs) if a and b]


def table(title, header, rows):
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    print(f"\n{title}")
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        print(f"  {line}")
        if not number:
            print("  " + "-" * (sum(widths) + 2 * len(widths) - 2))


def problems(texts):
    """What could not be measured, and why: {name: text}."""
    for name, text in texts.items():
        print(f"  {name}: {text}")
