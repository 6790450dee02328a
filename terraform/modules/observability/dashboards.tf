# Dashboards: a row of drawings under each section's heading, in CloudWatch's grid of 24 columns, and the state of all alarms
# on top of the first.

locals {
  columns       = 24
  figure_height = 6

  # Side by side: what puts payments at risk, with the alarm over it, and the rest. A widget takes a hundred.
  shown_alarms = {
    "Payments at risk" = concat(
      ["arn:${var.platform.partition}:cloudwatch:${var.platform.region}:${var.platform.account_id}:alarm:${local.risk_name}"],
      [for key, alarm in local.alarms : local.alarm_arns[key] if alarm.risk],
      [for alarm in values(var.other_alarms) : alarm.arn if alarm.risk],
    )
    "To be looked at" = concat(
      [for key, alarm in local.alarms : local.alarm_arns[key] if !alarm.risk],
      [for alarm in values(var.other_alarms) : alarm.arn if !alarm.risk],
    )
  }
  alarms_height = var.alarms_run ? 8 : 0

  dashboards = distinct([for section in var.catalogue.sections : section.dashboard])

  # The ids of a section's figures, in the catalogue's order; sections without any are left out.
  sections = [for section in var.catalogue.sections : merge(section, {
    figures = [for figure in var.catalogue.figures : figure.id if figure.section == section.id && contains(keys(local.figures), figure.id)]
    }) if length([for figure in var.catalogue.figures : figure.id if figure.section == section.id && contains(keys(local.figures), figure.id)]) > 0
  ]

  heights = [for section in local.sections : 1 + local.figure_height * ceil(length(section.figures) / section.columns)]

  # Below everything of the same dashboard that comes before it.
  tops = [for index, section in local.sections : sum(concat(
    [section.dashboard == local.dashboards[0] ? local.alarms_height : 0],
    [for before in range(index) : local.heights[before] if local.sections[before].dashboard == section.dashboard],
  ))]

  headings = { for dashboard in local.dashboards : dashboard => [for index, section in local.sections : {
    type       = "text"
    x          = 0
    y          = local.tops[index]
    width      = local.columns
    height     = 1
    properties = { markdown = "## ${section.title}", background = "transparent" }
  } if section.dashboard == dashboard] }

  # What each series is in a widget: the metric and its options, or an expression, with its metrics behind it.
  widget_metrics = { for id, figure in local.figures : id => concat(flatten([for series in figure.series : [
    length(series.split) > 0 ? jsonencode([{
      expression = "SEARCH('{${join(",", concat(["\"${series.uses.value.namespace}\""], series.split))}} MetricName=\"${series.uses.value.metric}\"', '${series.uses.value.statistic}', ${series.period})"
      label      = "$${PROP('Dim.${series.split[length(series.split) - 1]}')}"
    }])
    : series.expression != null ? jsonencode([{ expression = series.expression, label = series.label, period = series.period }])
    : jsonencode(concat(
      [series.uses.value.namespace, series.uses.value.metric],
      flatten([for dimension, value in series.uses.value.dimensions : [dimension, value]]),
      [{ label = series.label, stat = series.uses.value.statistic, period = series.period }],
    ))
    ]]), distinct(flatten([for series in figure.series : [for name, use in series.uses : jsonencode(concat(
      [use.namespace, use.metric],
      flatten([for dimension, value in use.dimensions : [dimension, value]]),
      [{ id = name, stat = use.statistic, period = series.period, visible = false }],
  ))] if series.expression != null]))) }

  # A threshold is drawn where it is in the drawing's own unit, and not on the axis.
  thresholds = { for id, figure in local.figures : id => distinct(flatten([
    for alarm in values(local.alarms) : [
      for series in figure.series : { value = alarm.threshold, label = alarm.name == "" && length(figure.series) > 1 ? "${series.label}: alarm ${alarm.comparison}" : "alarm ${alarm.comparison}" }
      if series.uses == alarm.uses && alarm.expression == null
    ] if alarm.figure == id && alarm.threshold > 0
  ])) }

  widgets = { for dashboard in local.dashboards : dashboard => flatten([
    for index, section in local.sections : [for position, id in section.figures : {
      type   = "metric"
      x      = (position % section.columns) * (local.columns / section.columns)
      y      = local.tops[index] + 1 + local.figure_height * floor(position / section.columns)
      width  = local.columns / section.columns
      height = local.figure_height
      properties = {
        title       = local.figures[id].title
        region      = var.platform.region
        view        = "timeSeries"
        stacked     = local.figures[id].view == "stacked"
        metrics     = [for metric in local.widget_metrics[id] : jsondecode(metric)]
        period      = 60
        yAxis       = { left = { min = 0, label = local.figures[id].unit, showUnits = false } }
        legend      = { position = "bottom" }
        annotations = { horizontal = local.thresholds[id] }
      }
    }] if section.dashboard == dashboard
  ]) }

  alarm_widgets = { for dashboard in local.dashboards : dashboard => [for index, title in sort(keys(local.shown_alarms)) : {
    type   = "alarm"
    x      = 12 * index
    y      = 0
    width  = 12
    height = local.alarms_height
    properties = {
      title  = title
      sortBy = "stateUpdatedTimestamp"
      alarms = slice(local.shown_alarms[title], 0, min(100, length(local.shown_alarms[title])))
    }
  } if var.alarms_run && dashboard == local.dashboards[0]] }

  bodies = { for dashboard in local.dashboards : dashboard => jsonencode({
    start          = "-PT3H"
    periodOverride = "inherit"
    widgets        = concat(local.alarm_widgets[dashboard], local.headings[dashboard], local.widgets[dashboard])
  }) }
}

resource "aws_cloudwatch_dashboard" "this" {
  for_each = toset(local.dashboards)

  dashboard_name = "${var.platform.name_prefix}-${each.key}"
  dashboard_body = local.bodies[each.key]
}
