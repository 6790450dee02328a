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

  validation {
    condition     = var.settings.delivery == "batch" || coalesce(var.settings.batch_size, 10) <= 10 || coalesce(var.settings.batching_window_seconds, 0) >= 1
    error_message = "More than ten events in a batch need a window of at least one second."
  }
}

variable "name" {
  description = "Folder of the function under lambdas/. The resource name has hyphens instead of underscores."
  type        = string
}

variable "description" {
  description = "What the function does, in a sentence."
  type        = string
}

variable "queue_name" {
  description = "Name of the stage's queues; default: the function's name with hyphens."
  type        = string
  default     = null
}

variable "sources" {
  description = "Who may send the stage's events; an empty list: anybody."
  type        = list(string)
  default     = ["postrail"]
}

variable "detail_types" {
  description = "The events that the stage consumes."
  type        = list(string)
}

variable "environment" {
  description = "Settings of this function besides those that all have."
  type        = map(string)
  default     = {}
}

variable "statements" {
  description = "What the function may do besides logging, tracing and keeping dead letters."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(string)), {})
  }))
  default = []
}

variable "vpc" {
  description = "Where the function gets its network interfaces; none: outside any VPC."
  type = object({
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
  })
  default = {}
}
