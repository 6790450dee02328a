variable "platform" {
  description = "Where this copy of Postrail lives, and what all its functions share."
  type = object({
    name_prefix        = string
    emulator           = bool
    events_key_arn     = string
    zip_dir            = string
    architecture       = string
    layer_arns         = list(string)
    tracing            = bool
    log_level          = string
    log_retention_days = number
    logs_key_arn       = string
    functions_key_arn  = string
  })
}

variable "bus_name" {
  description = "Name of the bus that the function publishes to."
  type        = string
}

variable "name" {
  description = "Folder of the function under lambdas/. The resource name has hyphens instead of underscores."
  type        = string
}

variable "description" {
  description = "What the function does, in a sentence."
  type        = string
}

variable "memory_mb" {
  description = "Memory, in MB; the share of a processor follows it."
  type        = number
  default     = 512
}

variable "timeout_seconds" {
  description = "How long one invocation may take."
  type        = number
  default     = 30
}

variable "reserved_concurrency" {
  description = "Copies that may run at once, set aside from the account's limit; -1: no limit of its own."
  type        = number
  default     = -1
}

variable "environment" {
  description = "Settings of this function besides those that all have."
  type        = map(string)
  default     = {}
}

variable "dead_letter_queue" {
  description = "Where the function sends input that can never be processed."
  type        = object({ name = string, url = string, arn = string })
  default     = null
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
