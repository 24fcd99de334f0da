"""What the dashboards are built from: panels with one look, and the pieces of PromQL that they share.

Every panel needs a title, one sentence that defines its number, and a unit. Panels flow from left to right in the order
of the code, so that nothing is placed by hand. All queries use limpid's own metrics, never recorded ones: a dashboard
works without the rules of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as c
from grafana_foundation_sdk.builders import dashboard as d
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as cm
from grafana_foundation_sdk.models import dashboard as dm
from grafana_foundation_sdk.models import heatmap as hm
from grafana_foundation_sdk.models import prometheus as pm

SOURCE = dm.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "limpid"

# --- PromQL -----------------------------------------------------------------------------------

# The label sets that the variables choose. `endpoint` is a label of limpid_requests_total and limpid_in_flight alone.
CALLS = 'gen_ai_request_model=~"$model",upstream=~"$upstream"'
REQUESTS = CALLS + ',endpoint=~"$endpoint"'
# Categories for which the side of the server is to blame, and with `ok` all that the availability is counted over. A
# client's own faults, what it cancelled, and refusals to serve (limits, quota, policy) are in neither.
FAULTS = "overloaded|unavailable|upstream_error|network|timeout|stream_error|internal"
SERVED = "ok|" + FAULTS
GENERATING = "chat|completions|responses|messages|generate|generate_content"
RATE = "$__rate_interval"


def rate(metric: str, labels: str = CALLS, by: str = "", window: str = RATE) -> str:
    """The sum of a counter's rates."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{labels}}}[{window}]))"


def share(metric: str, part: str, whole: str, by: str = "", window: str = RATE) -> str:
    """What part of a counter's growth has the labels `part` too: 0, not nothing, where no such series exists."""
    all_of_it = rate(metric, whole, by, window)
    return f"({rate(metric, f'{whole},{part}', by, window)} or {all_of_it} * 0) / {all_of_it}"


def quantile(q: float, metric: str, by: str = "", labels: str = CALLS) -> str:
    """A quantile of a histogram, interpolated within its bucket."""
    return f"histogram_quantile({q}, {rate(metric + '_bucket', labels, 'le, ' + by if by else 'le')})"


# --- panels -----------------------------------------------------------------------------------


class Query(NamedTuple):
    expr: str
    legend: str = ""


Limits = Sequence[tuple[float | None, str]]
Place = Callable[[], None]
COLOURS = {
    "ok": "green", "cancelled": "text", "client_request": "light-blue", "auth": "blue", "rejected": "dark-blue", "policy": "purple",
    "rate_limit": "yellow", "quota": "dark-yellow", "overloaded": "light-orange", "unavailable": "orange", "timeout": "dark-orange",
    "network": "light-red", "stream_error": "red", "upstream_error": "semi-dark-red", "internal": "dark-red",
}


def thresholds(limits: Limits) -> d.ThresholdsConfig:
    steps = [dm.Threshold(value=value, color=colour) for value, colour in limits]
    return d.ThresholdsConfig().mode(dm.ThresholdsMode.ABSOLUTE).steps(steps)


def target(query: Query, n: int) -> prometheus.Dataquery:
    made = prometheus.Dataquery().datasource(SOURCE).expr(query.expr).ref_id(chr(ord("A") + n)).editor_mode(pm.QueryEditorMode.CODE)
    return made.legend_format(query.legend or "__auto")


def common(panel, title: str, says: str, unit: str, w: int, h: int):
    return panel.title(title).description(says).unit(unit).datasource(SOURCE).span(w).height(h)


def number(title: str, says: str, unit: str, expr: str, limits: Limits = ((None, "text"),), *, to: str = "", w: int = 4, decimals: int | None = None):
    """One big number over the last interval, with its course behind it; a click leads to the dashboard `to`."""
    panel = common(stat.Panel(), title, says, unit, w, 4).with_target(target(Query(expr), 0).range())
    panel = panel.thresholds(thresholds(limits)).color_scheme(d.FieldColor().mode(dm.FieldColorModeId.THRESHOLDS))
    panel = panel.graph_mode(cm.BigValueGraphMode.AREA).reduce_options(c.ReduceDataOptions().calcs(["lastNotNull"]))
    if decimals is not None:
        panel = panel.decimals(decimals)
    if to:
        url = f"/d/limpid-{to}?${{__url_time_range}}&${{datasource:queryparam}}&${{model:queryparam}}&${{upstream:queryparam}}&${{endpoint:queryparam}}"
        panel = panel.links([d.DashboardLink(f"More: {to}").type(dm.DashboardLinkType.LINK).url(url)])
    return panel


def course(title: str, says: str, unit: str, *queries: Query, w: int = 12, h: int = 8, stacked: bool = False,
           limits: Limits = (), top: float | None = None, exemplars: bool = False, band: tuple[str, str] | None = None):
    """Lines over time. `limits` draws thresholds, `band` fills between two of the lines, `stacked` sums areas."""
    panel = common(timeseries.Panel(), title, says, unit, w, h).min(0)
    for n, query in enumerate(queries):
        panel = panel.with_target(target(query, n).range().exemplar(exemplars))
    panel = panel.fill_opacity(25 if stacked else 6).line_width(1).show_points(cm.VisibilityMode.NEVER).span_nulls(False)
    panel = panel.legend(c.VizLegendOptions().display_mode(cm.LegendDisplayMode.TABLE).placement(cm.LegendPlacement.BOTTOM).show_legend(True).calcs(["mean", "max", "lastNotNull"]))
    panel = panel.tooltip(c.VizTooltipOptions().mode(cm.TooltipDisplayMode.MULTI).sort(cm.SortOrder.DESCENDING))
    if stacked:
        panel = panel.stacking(c.StackingConfig().mode(cm.StackingMode.NORMAL).group("A"))
    if limits:
        panel = panel.thresholds(thresholds(limits)).thresholds_style(c.GraphThresholdsStyleConfig().mode(cm.GraphThresholdsStyleMode.DASHED))
    if top is not None:
        panel = panel.max(top)
    if any("by (category)" in query.expr for query in queries):
        for category, colour in COLOURS.items():
            panel = panel.override_by_name(category, [dm.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})])
    if band:
        upper, lower = band
        hidden = [dm.DynamicConfigValue(id_val="custom.lineWidth", value=0), dm.DynamicConfigValue(id_val="custom.fillOpacity", value=15),
                  dm.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": "text"})]
        panel = panel.override_by_name(upper, [*hidden, dm.DynamicConfigValue(id_val="custom.fillBelowTo", value=lower)])
        panel = panel.override_by_name(lower, [*hidden[:1], dm.DynamicConfigValue(id_val="custom.fillOpacity", value=0), hidden[2]])
    return panel


def heat(title: str, says: str, unit: str, metric: str, labels: str = CALLS, w: int = 12, h: int = 9):
    """A histogram's buckets over time: how many calls fell into each."""
    query = Query(f"sum by (le) (increase({metric}_bucket{{{labels}}}[{RATE}]))", "{{le}}")
    panel = common(heatmap.Panel(), title, says, "short", w, h)
    panel = panel.with_target(target(query, 0).range().format(pm.PromQueryFormat.HEATMAP).exemplar(True))
    panel = panel.calculate(False).y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(cm.AxisPlacement.LEFT))
    panel = panel.cell_values(heatmap.CellValues().unit("short")).filter_values(heatmap.FilterValueRange().le(1e-9)).cell_gap(1)
    panel = panel.color(heatmap.HeatmapColorOptions().mode(hm.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5).fill("dark-orange"))
    return panel.show_legend().mode(cm.TooltipDisplayMode.SINGLE).show_y_histogram()


class Column(NamedTuple):
    title: str
    expr: str
    unit: str
    limits: Limits = ()


def grid(title: str, says: str, by: dict[str, str], *columns: Column, w: int = 24, h: int = 9):
    """A table with a line for each value of the labels `by` (label: heading), of the newest numbers."""
    panel = common(table.Panel(), title, says, "short", w, h)
    hidden: dict[str, bool] = {"Time": True}
    names = dict(by)
    for n, column in enumerate(columns):
        panel = panel.with_target(target(Query(column.expr), n).instant().format(pm.PromQueryFormat.TABLE))
        names["Value" if len(columns) == 1 else f"Value #{chr(ord('A') + n)}"] = column.title
        look = [dm.DynamicConfigValue(id_val="unit", value=column.unit)]
        if column.limits:
            steps = [{"color": colour, "value": value} for value, colour in column.limits]
            look += [dm.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}),
                     dm.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"})]
        panel = panel.override_by_name(column.title, look)
    panel = panel.with_transformation(dm.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(dm.DataTransformerConfig(
        id_val="organize", options={"excludeByName": hidden, "indexByName": {}, "renameByName": names}))
    return panel.sort_by([c.TableSortByFieldState().display_name(columns[0].title).desc(True)])


# --- dashboards -------------------------------------------------------------------------------


def chooser(name: str, label: str, metric: str, of: str, says: str) -> d.QueryVariable:
    """A variable with the values of a label. `All` matches series that lack the label too."""
    query = {"qryType": 1, "query": f"label_values({metric}, {of})", "refId": "PrometheusVariableQueryEditor-VariableQuery"}
    made = d.QueryVariable(name).label(label).description(says).datasource(SOURCE).query(query)
    made = made.multi(True).include_all(True).all_value(".*").refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return made.sort(dm.VariableSort.ALPHABETICAL_ASC).current(dm.VariableOption(selected=True, text="All", value="$__all"))


def board(name: str, title: str, says: str, *parts) -> d.Dashboard:
    """A dashboard of panels, and of strings, which begin a row of that title."""
    made = d.Dashboard(f"limpid: {title}").uid(f"limpid-{name}").description(says).tags([TAG]).editable()
    made = made.tooltip(dm.DashboardCursorSync.CROSSHAIR).time("now-1h", "now").refresh("30s").timezone("browser")
    made = made.link(d.DashboardLink("limpid").type(dm.DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(True).keep_time(True).as_dropdown(False))
    made = made.with_variable(d.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    made = made.with_variable(chooser("model", "Model", "limpid_requests_total", "gen_ai_request_model", "The model that was asked for."))
    made = made.with_variable(chooser("upstream", "Upstream", "limpid_requests_total", "upstream", "The upstream that was to serve the request."))
    made = made.with_variable(chooser("endpoint", "Endpoint", "limpid_requests_total", "endpoint", "The kind of API. Only counts of requests and of exchanges in flight know it; other panels show all."))
    for n, part in enumerate(parts, 1):
        made = made.with_row(d.Row(part).id(n)) if isinstance(part, str) else made.with_panel(part.id(n))
    return made
