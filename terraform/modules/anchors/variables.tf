variable "platform" {
  description = "Where this copy of Postrail lives, and what all its functions share."
  type = object({
    name_prefix        = string
    emulator           = bool
    account_id         = string
    region             = string
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
  description = "Name of the bus, a setting that every function has."
  type        = string
}

variable "settings" {
  description = "How often, and for how long. See `anchors` of the root module."
  type = object({
    schedule    = string
    lock_mode   = string
    lock_days   = number
    alarm_hours = number
  })
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

variable "anchors_key_arn" {
  description = "Key that encrypts anchors."
  type        = string
}

variable "alerts_topic_arn" {
  description = "Topic that is told when anchors stay away."
  type        = string
}

variable "alarms_run" {
  description = "Whether CloudWatch has metrics of functions, and raises alarms."
  type        = bool
}

variable "deletion_protection" {
  description = "The bucket can be deleted only when it is empty."
  type        = bool
}
