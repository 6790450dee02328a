variable "platform" {
  description = "Where this copy of Postrail lives, and what all its rules share."
  type = object({
    name_prefix    = string
    partition      = string
    account_id     = string
    region         = string
    emulator       = bool
    events_key_arn = string
    delivery_retry = object({ age_seconds = number, attempts = number })
  })
}

variable "bus" {
  description = "The bus, and the queue for what its rules cannot deliver."
  type        = object({ name = string, arn = string, undelivered_arn = string })
}

variable "alert_emails" {
  description = "Addresses that get the alerts."
  type        = set(string)
}

variable "alerting_rule_arns" {
  description = "Rules elsewhere that may publish to the topic `alerts`."
  type        = list(string)
  default     = []
}
