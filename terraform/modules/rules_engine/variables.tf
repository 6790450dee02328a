variable "platform" {
  description = "Where this copy of Postrail lives, and what all its stages share."
  type = object({
    name_prefix        = string
    emulator           = bool
    partition          = string
    account_id         = string
    region             = string
    events_key_arn     = string
    rule_arn_prefix    = string
    zip_dir            = string
    architecture       = string
    layer_arns         = list(string)
    tracing            = bool
    log_level          = string
    log_retention_days = number
    logs_key_arn       = string
    functions_key_arn  = string
    max_receive_count  = number
    delivery_retry     = object({ age_seconds = number, attempts = number })
  })
}

variable "bus" {
  description = "The bus, and the queue for what its rules cannot deliver."
  type        = object({ name = string, arn = string, undelivered_arn = string })
}

variable "settings" {
  description = "How the stage gets its events and what its function may use. See `stages` of the root module."
  type = object({
    delivery                = string
    memory_mb               = number
    timeout_seconds         = number
    batch_size              = optional(number)
    batching_window_seconds = number
    maximum_concurrency     = number
    reserved_concurrency    = number
  })

  validation {
    condition     = contains(["realtime", "near_realtime", "batch"], var.settings.delivery)
    error_message = "delivery is realtime, near_realtime or batch."
  }
}

variable "tables_key" {
  description = "Key of the tables, and the statement that lets a function use it through DynamoDB."
  type = object({
    arn = string
    statement = object({
      sid       = string
      actions   = list(string)
      resources = list(string)
      condition = map(map(string))
    })
  })
}

variable "pipes_run" {
  description = "EventBridge Pipes exist and run at the target."
  type        = bool
}

variable "deletion_protection" {
  description = "The table cannot be deleted."
  type        = bool
}
