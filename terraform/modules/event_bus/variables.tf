variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix = string
    emulator    = bool
    partition   = string
    account_id  = string
    region      = string
  })
}

variable "events_key_arn" {
  description = "Key that encrypts what the bus stores."
  type        = string
}

variable "archive_leaves_out" {
  description = "Detail types that the archive does not keep."
  type        = list(string)
  default     = []
}

variable "archive_retention_days" {
  description = "How long the archive can replay, in days."
  type        = number
}
