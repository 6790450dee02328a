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

variable "ledger" {
  description = "What a function needs to use the ledger: rights, settings and network."
  type = object({
    statements = list(object({
      sid       = string
      actions   = list(string)
      resources = list(string)
      condition = map(map(string))
    }))
    environment = map(string)
    vpc = object({
      subnet_ids         = list(string)
      security_group_ids = list(string)
    })
  })
}

variable "posting_input_format" {
  description = "The issuing bank's format of a posting input."
  type        = string
}

variable "sequence_timeout_seconds" {
  description = "After how many seconds an incomplete sequence counts as overdue."
  type        = number
}

variable "expire_holds_schedule" {
  description = "When holds that are due are ended."
  type        = string
}
