mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform = {
    name_prefix = "postrail-test"
    partition   = "aws"
    account_id  = "111122223333"
    region      = "eu-west-2"
  }

  catalogue = {
    version = 1
    sections = [
      { id = "road", dashboard = "road", title = "The road", columns = 2 },
      { id = "ledger", dashboard = "ledger", title = "The ledger", columns = 3 },
      { id = "refusals", dashboard = "road", title = "Refusals", columns = 2 },
    ]
    figures = [
      {
        id     = "queue-age", title = "Age", section = "road", unit = "seconds"
        series = [{ label = "*", namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = "queue:*" }, statistic = "Maximum" }]
      },
      {
        id = "latency", title = "Latency", section = "road", unit = "milliseconds"
        series = [
          { label = "p50", namespace = "own", metric = "PostingLatency", dimensions = { service = "post" }, statistic = "p50" },
          { label = "p99", namespace = "own", metric = "PostingLatency", dimensions = { service = "post" }, statistic = "p99" },
        ]
      },
      {
        id = "share", title = "Share", section = "road", unit = "percent"
        series = [{
          label = "refused", expression = "100 * refused * price:event / received"
          uses = {
            refused  = { namespace = "own", metric = "Refused", dimensions = { service = "enrich" }, statistic = "Sum" }
            received = { namespace = "own", metric = "Received", dimensions = { service = "enrich" }, statistic = "Sum" }
          }
        }]
      },
      {
        id     = "capacity", title = "Capacity", section = "ledger", unit = "acu"
        series = [{ label = "used", namespace = "AWS/RDS", metric = "ServerlessDatabaseCapacity", dimensions = { DBClusterIdentifier = "cluster:ledger" }, statistic = "Average" }]
      },
      {
        id     = "refusals", title = "Refusals", section = "refusals", unit = "count", view = "stacked"
        series = [{ label = "*", namespace = "own", metric = "RefusedFor", split = ["service", "reason"], statistic = "Sum" }]
      },
    ]
    alarms = [
      {
        id            = "queue-age", title = "Messages wait in *", figure = "queue-age"
        metric        = { namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = "queue:*" }, statistic = "Maximum" }
        comparison    = "above", threshold = 300, period_seconds = 60, periods = 5
        treat_missing = "notBreaching", severity = "page", risk = true, runbook = "queue-age"
      },
      {
        id            = "latency", title = "Slow", figure = "latency"
        metric        = { namespace = "own", metric = "PostingLatency", dimensions = { service = "post" }, statistic = "p99" }
        comparison    = "above", threshold = 60000, period_seconds = 60, periods = 10, datapoints = 5
        treat_missing = "breaching", severity = "ticket", risk = false, runbook = "latency"
      },
      {
        id         = "errors", title = "Errors of *", figure = "latency"
        expression = "IF(invocations > 0, 100 * errors / invocations, 0)"
        uses = {
          errors      = { namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = "function:*" }, statistic = "Sum" }
          invocations = { namespace = "AWS/Lambda", metric = "Invocations", dimensions = { FunctionName = "function:*" }, statistic = "Sum" }
        }
        comparison    = "above", threshold = 5, period_seconds = 60, periods = 5, datapoints = 3
        treat_missing = "notBreaching", severity = "page", risk = true, runbook = "errors"
      },
      {
        id            = "capacity", title = "No capacity left", figure = "capacity"
        metric        = { namespace = "AWS/RDS", metric = "ACUUtilization", dimensions = { DBClusterIdentifier = "cluster:ledger" }, statistic = "Average" }
        comparison    = "above", threshold = 90, period_seconds = 60, periods = 10
        treat_missing = "notBreaching", severity = "page", risk = true, runbook = "capacity"
      },
    ]
  }

  names = {
    queue    = { posting = "postrail-test-posting", record-outcome = "postrail-test-record-outcome" }
    function = { apply_rules = "postrail-test-apply-rules" }
    price    = { event = "0.000001" }
  }

  allowances       = { queue-age = { record-outcome = 300 } }
  other_alarms     = { postrail-test-switch-northgate-too-few = { arn = "arn:aws:cloudwatch:eu-west-2:111122223333:alarm:postrail-test-switch-northgate-too-few", risk = true } }
  log_groups       = { functions = ["/aws/lambda/postrail-test-post"], switch = [] }
  alerts_topic_arn = "arn:aws:sns:eu-west-2:111122223333:postrail-test-alerts"
  alarms_run       = true
}

run "alarms_for_each_of_a_kind" {
  module {
    source = "./modules/observability"
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["errors-apply-rules", "latency", "queue-age-posting", "queue-age-record-outcome"]
    error_message = "One alarm for each queue and function, and none of a database that this copy does not have."
  }

  assert {
    condition = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.this) : (
      alarm.alarm_actions == toset([var.alerts_topic_arn]) && alarm.ok_actions == toset([var.alerts_topic_arn])
      && strcontains(alarm.alarm_description, "docs/alarms.md#") && startswith(alarm.alarm_name, "postrail-test-")
    )])
    error_message = "Each tells when it begins and ends, and where its runbook is; the topic knows alarms by the prefix."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["queue-age-posting"].dimensions == tomap({ QueueName = "postrail-test-posting" })
      && aws_cloudwatch_metric_alarm.this["queue-age-posting"].threshold == 300
      && aws_cloudwatch_metric_alarm.this["queue-age-posting"].datapoints_to_alarm == 5
      && aws_cloudwatch_metric_alarm.this["queue-age-record-outcome"].threshold == 600
    )
    error_message = "A queue is known by its real name; one that is slow on purpose is allowed to be."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["latency"].namespace == "Postrail/postrail-test"
      && aws_cloudwatch_metric_alarm.this["latency"].extended_statistic == "p99"
      && aws_cloudwatch_metric_alarm.this["latency"].statistic == null
      && aws_cloudwatch_metric_alarm.this["latency"].treat_missing_data == "breaching"
    )
    error_message = "Own metrics are in this copy's namespace; percentiles are extended statistics."
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["errors-apply-rules"].metric_name == null
      && { for query in aws_cloudwatch_metric_alarm.this["errors-apply-rules"].metric_query : query.id => query.expression if query.return_data == true } == { result = "IF(invocations > 0, 100 * errors / invocations, 0)" }
      && toset([for query in aws_cloudwatch_metric_alarm.this["errors-apply-rules"].metric_query : query.metric[0].dimensions.FunctionName if length(query.metric) > 0]) == toset(["postrail-test-apply-rules"])
    )
    error_message = "Math is over the metrics that it names."
  }
}

run "one_alarm_over_what_puts_payments_at_risk" {
  module {
    source = "./modules/observability"
  }

  assert {
    condition     = aws_cloudwatch_composite_alarm.payments_at_risk[0].alarm_rule == "ALARM(\"postrail-test-errors-apply-rules\") OR ALARM(\"postrail-test-queue-age-posting\") OR ALARM(\"postrail-test-queue-age-record-outcome\") OR ALARM(\"postrail-test-switch-northgate-too-few\")"
    error_message = "Raised by each alarm that says so, other modules' included, and by no other."
  }

  assert {
    condition = (
      aws_cloudwatch_composite_alarm.payments_at_risk[0].alarm_actions == toset([var.alerts_topic_arn])
      && aws_cloudwatch_composite_alarm.payments_at_risk[0].ok_actions == toset([var.alerts_topic_arn])
      && strcontains(aws_cloudwatch_composite_alarm.payments_at_risk[0].alarm_description, "docs/alarms.md#payments-at-risk")
    )
    error_message = "It tells like the others."
  }
}

run "dashboards_are_laid_out" {
  module {
    source = "./modules/observability"
  }

  assert {
    condition     = keys(aws_cloudwatch_dashboard.this) == ["ledger", "road"] && aws_cloudwatch_dashboard.this["road"].dashboard_name == "postrail-test-road"
    error_message = "A dashboard for each that the sections name."
  }

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets : "${widget.type} ${widget.x},${widget.y} ${widget.width}x${widget.height}"] == [
      "alarm 0,0 12x8", "alarm 12,0 12x8",
      "text 0,8 24x1", "text 0,21 24x1",
      "metric 0,9 12x6", "metric 12,9 12x6", "metric 0,15 12x6",
      "metric 0,22 12x6",
    ]
    error_message = "Alarms on top, sections below each other, drawings in their columns; nothing overlaps."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this["ledger"].dashboard_body).widgets) == 0
    error_message = "What this copy does not have is not drawn, and leaves no heading."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[4].properties.metrics[0]
      == ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "postrail-test-posting", { label = "posting", stat = "Maximum", period = 60 }]
      && [for line in jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[4].properties.annotations.horizontal : line.value] == [300, 600]
    )
    error_message = "Series by real names, with the thresholds of their alarms."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[5].properties.annotations.horizontal == [{ value = 60000, label = "p99: alarm above" }]
    error_message = "A threshold of one of several series says of which."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[6].properties.metrics[0] == [{ expression = "100 * refused * 0.000001 / received", label = "refused", period = 60 }]
      && toset([for metric in slice(jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[6].properties.metrics, 1, 3) : "${metric[4].id} ${metric[4].visible}"]) == toset(["received false", "refused false"])
    )
    error_message = "An expression has the prices that it names, and brings its metrics along, unseen."
  }

  assert {
    condition = (
      jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[7].properties.metrics[0][0].expression == "SEARCH('{\"Postrail/postrail-test\",service,reason} MetricName=\"RefusedFor\"', 'Sum', 60)"
      && jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets[7].properties.stacked
    )
    error_message = "What is split is searched for, reason by reason."
  }
}

run "saved_queries" {
  module {
    source = "./modules/observability"
  }

  assert {
    condition     = length(aws_cloudwatch_query_definition.this) >= 8 && alltrue([for query in values(aws_cloudwatch_query_definition.this) : startswith(query.name, "postrail-test/") && length(query.log_group_names) > 0])
    error_message = "Questions are saved under the prefix, and each has logs to ask."
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_query_definition.this), "what the switch says")
    error_message = "Nobody is asked who does not run."
  }
}

run "own_thresholds" {
  module {
    source = "./modules/observability"
  }

  variables {
    thresholds = { queue-age = 120 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["queue-age-posting"].threshold == 120 && aws_cloudwatch_metric_alarm.this["queue-age-record-outcome"].threshold == 420
    error_message = "A copy may set a threshold itself; allowances come on top."
  }
}

run "unknown_thresholds_are_refused" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    thresholds = { queue-ages = 120 }
  }

  expect_failures = [var.thresholds]
}

run "too_many_for_one_alarm" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    names = { price = { event = "0.000001" }, queue = { for number in range(101) : "queue-${number}" => "postrail-test-queue-${number}" } }
  }

  expect_failures = [aws_cloudwatch_composite_alarm.payments_at_risk]
}

run "dashboards_alone" {
  module {
    source = "./modules/observability"
  }

  variables {
    alarms_run = false
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && length(aws_cloudwatch_composite_alarm.payments_at_risk) == 0 && length(aws_cloudwatch_query_definition.this) == 0 && length(aws_cloudwatch_dashboard.this) == 2
    error_message = "Where nothing is raised, drawings remain."
  }

  assert {
    condition     = [for widget in jsondecode(aws_cloudwatch_dashboard.this["road"].dashboard_body).widgets : widget.y if widget.type != "metric"] == [0, 13]
    error_message = "Without alarms the drawings move up."
  }
}
