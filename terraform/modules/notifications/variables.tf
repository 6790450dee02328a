variable "platform" {
  description = "Where this copy of Postrail lives, and what all its rules share."
  type = object({
    name_prefix     = string
    events_key_arn  = string
    bus_name        = string
    undelivered_arn = string
    delivery_retry  = object({ age_seconds = number, attempts = number })
  })
}

variable "alert_emails" {
  description = "Addresses that get the alerts."
  type        = set(string)
}
