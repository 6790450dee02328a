# From the catalogue's words to this copy's names.
#
# A series or an alarm takes its metrics from `uses`; one with a single metric is treated as if it used that one. Where a
# dimension says kind:*, there is one series for each name of the kind. `try` instead of a condition throughout, since the
# catalogue's entries have different attributes, and a condition wants both its ends alike.

locals {
  namespace = "Postrail/${var.platform.name_prefix}"

  # Whatever has metrics: series of figures, and alarms.
  sources = concat(
    flatten([for figure in var.catalogue.figures : [for index, series in figure.series : {
      id         = "figure ${figure.id} ${index}"
      label      = series.label
      expression = try(series.expression, null)
      split      = try(series.split, [])
      period     = try(series.period_seconds, 60)
      uses = try(series.uses, { value = {
        namespace  = series.namespace
        metric     = series.metric
        dimensions = try(series.dimensions, {})
        statistic  = series.statistic
      } })
    }]]),
    [for alarm in var.catalogue.alarms : {
      id         = "alarm ${alarm.id}"
      label      = alarm.title
      expression = try(alarm.expression, null)
      split      = []
      period     = alarm.period_seconds
      uses       = try(alarm.uses, { value = merge({ dimensions = {} }, alarm.metric) })
    }],
  )

  # Every value of a dimension that stands for something else, as [kind, name].
  references = { for source in local.sources : source.id => distinct(concat(
    flatten([
      for use in values(source.uses) : [
        for value in values(try(use.dimensions, {})) : value if can(regex("^[a-z_]+:.+$", value))
      ]
    ]),
    [for word in split(" ", coalesce(source.expression, " ")) : word if strcontains(word, ":")],
  )) }

  # By their keys, since some names are known only once they exist.
  known = { for kind, names in var.names : kind => keys(names) }

  # For which names each stands: none in it means once, under no name; a name that is missing here means not at all.
  copies = { for id, references in local.references : id => !alltrue([for reference in references : contains(try(local.known[split(":", reference)[0]], []), split(":", reference)[1]) if !endswith(reference, ":*")]) ? [] : anytrue([for reference in references : endswith(reference, ":*")]) ? sort(tolist(setintersection([for reference in references : toset(try(local.known[trimsuffix(reference, ":*")], [])) if endswith(reference, ":*")]...))) : [""] }

  # Everything by its own name, in the catalogue's order.
  resolved = { for source in local.sources : source.id => [
    for name in local.copies[source.id] : {
      name  = name
      label = replace(source.label, "*", name)
      expression = source.expression == null ? null : join(" ", [
        for word in split(" ", source.expression) : strcontains(word, ":") ? var.names[split(":", word)[0]][split(":", word)[1]] : word
      ])
      split  = source.split
      period = source.period
      uses = { for use_name, use in source.uses : use_name => {
        namespace = use.namespace == "own" ? local.namespace : use.namespace
        metric    = use.metric
        statistic = use.statistic
        dimensions = { for dimension, value in try(use.dimensions, {}) : dimension => (
          can(regex("^[a-z_]+:.+$", value))
          ? var.names[split(":", value)[0]][endswith(value, ":*") ? name : split(":", value)[1]]
          : value
        ) }
      } }
    }
  ] }

  # By figure; those of which this copy has nothing are left out.
  figures = { for figure in var.catalogue.figures : figure.id => merge(
    { title = figure.title, section = figure.section, unit = figure.unit, view = try(figure.view, "line") },
    { series = flatten([for index in range(length(figure.series)) : local.resolved["figure ${figure.id} ${index}"]]) },
  ) if anytrue([for index in range(length(figure.series)) : length(local.copies["figure ${figure.id} ${index}"]) > 0]) }

  # By name: the alarm's id, and for which of a kind it is.
  alarms = merge([for alarm in var.catalogue.alarms : {
    for one in local.resolved["alarm ${alarm.id}"] : trimsuffix("${alarm.id}-${replace(one.name, "_", "-")}", "-") => {
      id            = alarm.id
      name          = one.name
      title         = one.label
      figure        = alarm.figure
      expression    = one.expression
      uses          = one.uses
      comparison    = alarm.comparison
      threshold     = try(var.thresholds[alarm.id], alarm.threshold) + try(var.allowances[alarm.id][one.name], 0)
      period        = alarm.period_seconds
      periods       = alarm.periods
      datapoints    = try(alarm.datapoints, alarm.periods)
      treat_missing = alarm.treat_missing
      severity      = alarm.severity
      risk          = alarm.risk
      runbook       = "docs/alarms.md#${alarm.runbook}"
    }
  }]...)
}
