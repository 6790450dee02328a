# How large the stages are: what config/stages.yaml says, unless `stages` says otherwise. `postrail capacity` reckons with the
# same file.

locals {
  sizes = yamldecode(file("${path.root}/../config/stages.yaml"))

  deliveries = {
    for name, size in local.sizes.stages : name => coalesce(try(var.stages[name].delivery, null), size.delivery)
  }

  # A size that the file gives to a stage is meant for the file's delivery: with another one the usual batches apply.
  own_sizes = {
    for name, size in local.sizes.stages : name => {
      batch_size              = local.deliveries[name] == size.delivery ? try(tonumber(size.batch_size), null) : null
      batching_window_seconds = local.deliveries[name] == size.delivery ? try(tonumber(size.batching_window_seconds), null) : null
    }
  }

  stages = {
    for name, size in local.sizes.stages : name => {
      delivery        = local.deliveries[name]
      memory_mb       = coalesce(try(var.stages[name].memory_mb, null), size.memory_mb)
      timeout_seconds = coalesce(try(var.stages[name].timeout_seconds, null), size.timeout_seconds)
      batch_size = coalesce(
        try(var.stages[name].batch_size, null),
        local.own_sizes[name].batch_size,
        local.sizes.deliveries[local.deliveries[name]].batch_size,
      )
      batching_window_seconds = coalesce(
        try(var.stages[name].batching_window_seconds, null),
        local.own_sizes[name].batching_window_seconds,
        local.sizes.deliveries[local.deliveries[name]].batching_window_seconds,
      )
      maximum_concurrency = coalesce(
        try(var.stages[name].maximum_concurrency, null), var.maximum_concurrency, local.sizes.maximum_concurrency,
      )
      reserved_concurrency = coalesce(try(var.stages[name].reserved_concurrency, null), -1)
    }
  }
}
