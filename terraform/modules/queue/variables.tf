variable "platform" {
  description = "Where this copy of Postrail lives, and what all its queues share."
  type = object({
    name_prefix       = string
    emulator          = bool
    partition         = string
    account_id        = string
    region            = string
    events_key_arn    = string
    max_receive_count = number
  })
}

variable "name" {
  description = "Name without prefix; the dead-letter queue gets the suffix -dlq."
  type        = string
}

variable "buffered" {
  description = "There is a queue in front of the consumer; otherwise only the dead-letter queue exists."
  type        = bool
  default     = true
}

variable "visibility_timeout_seconds" {
  description = "How long a message in work stays hidden."
  type        = number
  default     = 180
}

variable "rule_arn" {
  description = "The one rule that may send to the queue."
  type        = string
  default     = null
}

variable "dead_letter_rule_arns" {
  description = "Rules that may put what they cannot deliver into the dead-letter queue themselves."
  type        = list(string)
  default     = []
}
