"""Pictures of a study show what was found: read from the figure before it becomes a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from findings_world import Example, findings, many_relations
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hermtk.ablation.findings import Difference, Findings, sure
from hermtk.ablation.report import curves, maps, pictures
from hermtk.ablation.report.view import differences_of, errors_of, main, parts

Drawn = Callable[..., Figure | None]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Calls what draws a picture and gives the figure instead of a file, None where there is none."""

    def call(draw: Callable[..., bool], *arguments: object) -> Figure | None:
        kept: list[Figure] = []
        monkeypatch.setattr(f"{draw.__module__}.save", lambda figure, path: kept.append(figure))
        assert draw(*arguments, Path("unused")) == bool(kept)
        return kept[0] if kept else None

    return call


def with_difference(found: Findings, arm: str, **changed: object) -> Findings:
    """The same with other numbers for one arm in every metric."""
    tables = [
        replace(t, differences=tuple(replace(d, **changed) if d.arm == arm else d for d in t.differences))
        for t in found.tables
    ]
    return replace(found, tables=tuple(tables))


def test_every_seed_is_a_point(drawn: Drawn):
    found = findings(Example(subnets=("painn",), failed=frozenset({("painn-hvnet", 2)})))
    figure = drawn(pictures.errors_picture, found)
    for axes, table in zip(figure.axes, main(found), strict=True):
        points = sorted(float(x) for cloud in axes.collections for x in cloud.get_offsets()[:, 0])
        assert points == sorted(value for one in table.errors for value in one.values)
        assert len(points) == 19


def test_a_filled_marker_is_a_sure_difference(drawn: Drawn):
    found = findings()
    figure = drawn(pictures.differences_picture, found)
    for axes, table in zip(figure.axes, main(found), strict=True):
        markers = [line for line in axes.lines if line.get_marker() != "None"]
        shown = {float(m.get_xdata()[0]): to_hex(m.get_markerfacecolor()) != "#ffffff" for m in markers}
        assert shown == {one.mean: sure(one) for one in table.differences}
        low, high = axes.get_xlim()
        assert low < 0 < high
    assert len({sure(one) for one in main(found)[0].differences}) == 2


def test_one_arm_that_diverged_does_not_hide_the_others(drawn: Drawn):
    wild = {"mean": 4e5, "values": (4e5,) * 5, "interval": (-9e5, 1.7e6)}
    found = with_difference(findings(Example(subnets=("painn",))), "painn-htnet", **wild)
    axes = drawn(pictures.differences_picture, found).axes[1]
    usual = [abs(x) for one in main(found)[1].differences if one.arm != "painn-htnet" for x in one.values]
    assert max(map(abs, axes.get_xlim())) < 3 * max(usual)
    assert [text.get_text() for text in axes.texts] == ["+4e+05 →"]


def test_arms_without_a_pair_say_so(drawn: Drawn):
    found = findings(Example(subnets=("painn",), failed=frozenset({"painn-htnet"})))
    texts = [text.get_text() for axes in drawn(pictures.errors_picture, found).axes for text in axes.texts]
    assert texts == ["no finished run"] * 3
    texts = [
        text.get_text() for axes in drawn(pictures.differences_picture, found).axes for text in axes.texts
    ]
    assert texts == ["no seed finished in both"] * 3


def test_a_seed_is_one_line_and_dotted_over_a_failed_run(drawn: Drawn):
    found = findings(
        Example(subnets=("painn",), quantities=("forces",), failed=frozenset({("painn-hvnet", 2)}))
    )
    axes = drawn(pictures.paired_picture, found).axes[0]
    solid = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(solid) == 5
    assert [int(np.isnan(line.get_ydata()).sum()) for line in solid] == [0, 0, 1, 0, 0]
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [len(line.get_xdata()) for line in dotted] == [4, 4, 3, 4, 4]


@pytest.mark.parametrize("kind", ["element", "relation"])
def test_the_map_frames_what_is_sure_and_nothing_else(drawn: Drawn, kind: str):
    found = findings()
    axes = drawn(maps.map_picture, found, kind).axes[0]
    tables = parts(found, kind)
    names = [label.get_text() for label in axes.get_yticklabels()]
    arms = [label.get_text().replace(" ", "-") for label in axes.get_xticklabels()]
    framed = {
        (names[round(p.get_y() + 0.45)], arms[round(p.get_x() + 0.47)])
        for p in axes.patches
        if isinstance(p, Rectangle)
    }
    assert framed == {(n, d.arm) for n, t in tables.items() for d in t.differences if sure(d)}
    shown = np.asarray(axes.images[0].get_array())
    expected = [[100 * differences_of(tables[name])[arm].relative for arm in arms] for name in names]
    assert shown == pytest.approx(np.array(expected))
    assert 0 < len(framed) < shown.size


def test_of_many_relations_the_most_seen_are_mapped(drawn: Drawn):
    names = many_relations(60)
    found = findings(Example(subnets=("painn",), seeds=(0, 1), relations=names))
    axes = drawn(maps.map_picture, found, "relation").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(names[: maps.MOST_ROWS])


def test_small_differences_are_pale(drawn: Drawn):
    found = with_difference(findings(Example(subnets=("painn",))), "painn-hvnet", relative=0.01)
    for arm in ("painn-hpnet", "painn-htnet"):
        found = with_difference(found, arm, relative=-0.005)
    image = drawn(maps.map_picture, found, "element").axes[0].images[0]
    assert (image.norm.vmin, image.norm.vmax) == (-10, 10)


def test_relations_never_seen_and_far_outside_are_drawn_at_the_edges(drawn: Drawn):
    found = findings(Example(subnets=("painn",), variants=("homogeneous", "hpnet"), seeds=(0, 1)))

    def changed(one: Difference, name: str) -> Difference:
        return (
            replace(one, seen=0.0) if name == "C-H" else replace(one, relative=30.0) if name == "N-O" else one
        )

    tables = [
        replace(t, differences=tuple(changed(d, t.metric.part.partition(" ")[2]) for d in t.differences))
        for t in found.tables
    ]
    axes = drawn(maps.coverage_picture, replace(found, tables=tuple(tables))).axes[0]
    points = np.concatenate([cloud.get_offsets() for cloud in axes.collections if len(cloud.get_offsets())])
    assert points[:, 0].min() == 0.5
    assert axes.get_ylim()[1] < 200
    assert points[points[:, 1] == axes.get_ylim()[1]].shape == (1, 2)


def test_learning_curves_hold_every_arm_at_every_size(drawn: Drawn):
    found = findings(
        Example(sizes=(50, 200, 1000), quantities=("forces",), failed=frozenset({"unite-htnet-200"}))
    )
    figure = drawn(curves.learning_picture, found)
    errors = errors_of(main(found)[0])
    painn, unite = figure.axes
    assert [len(line.get_xdata()) for line in painn.lines] == [3, 3, 3, 3]
    assert [len(line.get_xdata()) for line in unite.lines] == [3, 3, 3, 2]
    assert painn.lines[2].get_ydata() == pytest.approx([errors[f"painn-hpnet-{n}"].mean for n in found.sizes])
    assert (painn.get_xscale(), painn.get_yscale()) == ("log", "log")


def test_the_gain_has_the_interval_in_percent_of_the_control(drawn: Drawn):
    found = findings(Example(subnets=("painn",), sizes=(50, 200), quantities=("forces",)))
    axes = drawn(curves.gain_picture, found).axes[0]
    table = main(found)[0]
    one, control = differences_of(table)["painn-hvnet-50"], errors_of(table)["painn-homogeneous-50"]
    ends = axes.collections[0].get_segments()[0][:, 1]
    assert ends == pytest.approx([100 * end / control.mean for end in one.interval])


def test_of_one_size_there_are_no_learning_curves(drawn: Drawn):
    assert drawn(curves.learning_picture, findings()) is None
    assert drawn(curves.gain_picture, findings()) is None


def test_the_line_of_cost_falls_and_nothing_lies_below_it(drawn: Drawn):
    found = findings(Example(match="none", quantities=("forces",)))
    parameters, time = drawn(curves.cost_picture, found).axes
    assert parameters.get_xlabel() == "parameters"
    for axes in (parameters, time):
        x, y = axes.lines[0].get_data()
        assert (np.diff(x) > 0).all()
        assert (np.diff(y) < 0).all()
        points = [container.lines[0].get_xydata()[0] for container in axes.containers]
        assert len(points) == 8
        for px, py in points:
            assert py >= y[x <= px].min()


def test_errors_of_very_different_size_are_on_a_logarithmic_axis(drawn: Drawn):
    found = findings(Example(subnets=("painn",), quantities=("forces",)))
    table = found.tables[0]
    wild = tuple(
        replace(e, values=(4e5,) * 5, mean=4e5) if e.arm == "painn-htnet" else e for e in table.errors
    )
    both = {"linear": found, "log": replace(found, tables=(replace(table, errors=wild), *found.tables[1:]))}
    for scale, shown in both.items():
        assert drawn(pictures.errors_picture, shown).axes[0].get_xscale() == scale
        assert drawn(pictures.paired_picture, shown).axes[0].get_yscale() == scale
        assert drawn(curves.cost_picture, shown).axes[0].get_yscale() == scale


def test_a_gain_far_outside_leaves_the_picture(drawn: Drawn):
    found = findings(Example(subnets=("painn",), sizes=(50, 200), quantities=("forces",)))
    wild = with_difference(found, "painn-htnet-50", relative=900.0, interval=None)
    low, high = drawn(curves.gain_picture, wild).axes[0].get_ylim()
    usual = drawn(curves.gain_picture, found).axes[0].get_ylim()
    assert low <= min(100 * d.relative for d in main(found)[0].differences)
    assert high < 10 * max(map(abs, usual))
