"""Accuracy against epochs, bytes and seconds, one picture a case, as PNG and SVG. Told apart without colour."""
import re
import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the backend comes first

LINES = 8  # more cannot be told apart: the best are drawn, the table has all
STYLES = [("#000000", "-", "o"), ("#d55e00", "--", "s"), ("#0072b2", "-.", "^"), ("#009e73", ":", "D"),
          ("#cc79a7", (0, (6, 1, 1, 1, 1, 1)), "v"), ("#8c5a00", (0, (8, 3)), "X"),
          ("#56b4e9", (0, (3, 1)), "P"), ("#7a7a7a", "-", "*")]
plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "ecl",
                     "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
                     "lines.linewidth": 1.6, "lines.markersize": 5.5, "legend.frameon": False})


def draw(report, folder):
    """curves-<case>.png and .svg for every case whose section wants them; returns the paths."""
    paths = []
    for table in report.experiment.tables:
        for case in table.cases() if table.curves else []:
            cells = [cell for cell in report.jobs if cell[1] == case]
            name = "-".join(filter(None, (table.name, *case.options().values()))) or "all"
            if cells:
                paths += picture(report, case, cells, folder / f"curves-{re.sub('[^A-Za-z0-9.-]+', '_', name)}")
    return paths


def picture(report, case, cells, path):
    means = {cell: report.mean(cell, report.experiment.metric) for cell in cells}
    rivals = [cell for cell in cells if cell[0] not in report.references and means[cell] is not None]
    chosen = sorted(rivals, key=lambda cell: -means[cell])[:LINES]
    references = [cell for cell in cells if cell[0] in report.references and means[cell] is not None]
    averages = {cell: average(report.curves(cell)) for cell in chosen + references}
    if not averages:
        return []
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharey=True)
    for index, cell in enumerate(chosen):  # the best first, in the legend too
        line(axes, averages[cell], index, f"{cell[0]}  {means[cell]:.1f}")
    for index, cell in enumerate(references):  # its bytes and seconds are another machine's: only a level there
        style = dict(color="#000000", linewidth=1.0, linestyle=[(0, (1, 2)), (0, (4, 2, 1, 2))][index % 2])
        curve = averages[cell]
        axes[0].plot([p[0] for p in curve], [p[1] for p in curve], label=f"({cell[0]})  {means[cell]:.1f}", **style)
        for axis in axes[1:]:
            axis.axhline(curve[-1][1], **style)
    decorate(figure, axes, report, case, averages, (len(chosen), len(rivals)))
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        figure.savefig(f"{path}{ending}", dpi=110, metadata=metadata)
    plt.close(figure)
    return [f"{path}.png", f"{path}.svg"]


def average(curves):
    """Point by point over the seeds: (epoch, mean, bytes, seconds, lowest, highest)."""
    points = []
    for group in zip(*curves):
        accuracies = [point[1] for point in group]
        epoch, accuracy, sent, seconds = (statistics.fmean(values) for values in zip(*group))
        points.append((epoch, accuracy, sent * 1e-6, seconds, min(accuracies), max(accuracies)))
    return points


def line(axes, curve, index, label):
    colour, dashes, marker = STYLES[index]
    every = max(1, len(curve) // 8)
    for axis, column in zip(axes, (0, 2, 3)):
        x = [point[column] for point in curve]
        axis.plot(x, [point[1] for point in curve], color=colour, linestyle=dashes, marker=marker,
                  markevery=(index * every // LINES, every), markeredgecolor=colour, label=label,
                  markerfacecolor="white" if index % 2 else colour)
        axis.fill_between(x, [p[4] for p in curve], [p[5] for p in curve], color=colour, alpha=0.12, linewidth=0)


def decorate(figure, axes, report, case, averages, drawn):
    finals = [curve[-1][1] for curve in averages.values()]
    axes[0].set_ylim(max(0, min(finals) - 15), min(100, max(finals) + 3))
    axes[0].set_ylabel("test accuracy, mean over nodes (%)")
    clock = "virtual seconds" if report.experiment.launcher == "simulate" else "seconds"
    for axis, label, column in zip(axes, ("epochs", "MB sent by all nodes", clock), (0, 2, 3)):
        axis.set_xlabel(label)
        ends = [curve[-1][column] for cell, curve in averages.items()
                if curve[-1][column] > 0 and (column == 0 or cell[0] not in report.references)]
        if ends and max(ends) > 3 * min(ends):
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
        else:
            axis.set_xlim(left=0)
    count = f"best {drawn[0]} of {drawn[1]}, " if drawn[0] < drawn[1] else ""
    axes[2].legend(*axes[0].get_legend_handles_labels(), title=f"{count}final accuracy", loc="center left",
                   bbox_to_anchor=(1.02, 0.5), alignment="left", handlelength=4)
    heading = ", ".join(f"{key} {value}" for key, value in case.values)
    figure.suptitle(f"{report.experiment.title}: {heading}", x=0.01, ha="left", fontsize=11)
    figure.tight_layout(rect=(0, 0, 1, 0.97))
