variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix        = string
    partition          = string
    account_id         = string
    region             = string
    log_retention_days = number
  })
}

variable "audit_key_arn" {
  description = "Key that encrypts the records."
  type        = string
}

variable "vault" {
  description = "The table of card numbers, its key, and the names of the roles that work with them; a `*` stands for any letters."
  type        = object({ table_arn = string, key_arn = string, role_names = list(string) })
}

variable "guarded_key_arns" {
  description = "Keys whose policy or state nobody changes without people being told."
  type        = list(string)
}

variable "bucket_arns" {
  description = "Buckets of which each read and each write of an object is recorded."
  type        = list(string)
}

variable "settings" {
  description = "What is recorded, and for how long. See `audit` of the root module."
  type = object({
    management_events = bool
    lock_mode         = string
    lock_days         = number
    retention_days    = number
  })
}

variable "alerts_topic_arn" {
  description = "Topic that is told what should not happen."
  type        = string
}

variable "alarms_run" {
  description = "CloudWatch has metrics of log groups, and raises alarms. When false none is created."
  type        = bool
}

variable "deletion_protection" {
  description = "The bucket can be deleted only when it is empty."
  type        = bool
}
