# Questions that people ask of the logs, ready to be asked: CloudWatch, Logs Insights, Saved queries.

locals {
  queries = {
    "one payment, from door to ledger" = {
      groups = concat(var.log_groups.functions, var.log_groups.switch)
      query  = <<-EOT
        # Put the payment's id in place of PAYMENT_ID. Lines about a batch name its first payments.
        fields @timestamp, coalesce(stage, service) as stage, message, reason, detail, error, error_text, correlation_id, @logStream
        | filter @message like "PAYMENT_ID"
        | sort @timestamp asc
        | limit 1000
      EOT
    }
    "refusals by reason" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        filter message = "refused"
        | stats count(*) as refusals, latest(detail) as example, latest(payment_id) as payment by stage, reason
        | sort refusals desc
      EOT
    }
    "messages that will be delivered again" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        filter message = "failed"
        | stats count(*) as times, latest(error_text) as example, latest(payment_id) as payment by stage, error
        | sort times desc
      EOT
    }
    "errors that nobody foresaw" = {
      groups = concat(var.log_groups.functions, var.log_groups.switch)
      query  = <<-EOT
        fields @timestamp, coalesce(stage, service) as stage, message, exception_name, exception, payment_id, @logStream
        | filter level in ["ERROR", "CRITICAL"]
        | sort @timestamp desc
        | limit 200
      EOT
    }
    "crashes and timeouts" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        fields @timestamp, @log, @message
        | filter @message like /Task timed out|Runtime exited|Runtime.ImportModuleError|Runtime.OutOfMemory|AccessDenied/
        | sort @timestamp desc
        | limit 200
      EOT
    }
    "slowest invocations" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        filter @type = "REPORT"
        | fields @timestamp, @log, @requestId, @duration, @initDuration, @maxMemoryUsed / 1000 / 1000 as used_mb
        | sort @duration desc
        | limit 50
      EOT
    }
    "cold starts" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        filter @type = "REPORT"
        | stats count(@initDuration) as cold, count(*) as all, 100 * count(@initDuration) / count(*) as percent, pct(@initDuration, 99) as p99_ms by @log
        | sort cold desc
      EOT
    }
    "memory that functions need" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        filter @type = "REPORT"
        | stats max(@maxMemoryUsed / 1000 / 1000) as used_mb, max(@memorySize / 1000 / 1000) as given_mb, pct(@duration, 50) as p50_ms, pct(@duration, 99) as p99_ms by @log
        | sort used_mb desc
      EOT
    }
    "throttles" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        fields @timestamp, @log, stage, error, error_text, payment_id
        | filter @message like /Throttl|TooManyRequests|ProvisionedThroughputExceeded|LimitExceeded/
        | stats count(*) as times, latest(error_text) as example by @log, bin(5m)
        | sort times desc
      EOT
    }
    "batches, minute by minute" = {
      groups = var.log_groups.functions
      query  = <<-EOT
        filter message = "batch"
        | stats sum(received) as received, sum(published) as published, sum(refused) as refused, sum(failed) as failed by stage, bin(1m)
        | sort @timestamp desc
      EOT
    }
    "what the switch says" = {
      groups = var.log_groups.switch
      query  = <<-EOT
        fields @timestamp, service, level, message, @logStream
        | filter level in ["WARNING", "ERROR", "CRITICAL"]
        | sort @timestamp desc
        | limit 200
      EOT
    }
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = { for name, query in local.queries : name => query if var.alarms_run && length(query.groups) > 0 }

  name            = "${var.platform.name_prefix}/${each.key}"
  log_group_names = slice(each.value.groups, 0, min(50, length(each.value.groups))) # as many as one query reads
  query_string    = each.value.query
}
