variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix = string
    partition   = string
    account_id  = string
    region      = string
  })
}

variable "catalogue" {
  description = "What is drawn and when people are told: config/figures.yaml, decoded. `postrail` checks the file's shape."
  type        = any

  validation {
    condition     = length(try(var.catalogue.sections, [])) > 0 && length(try(var.catalogue.figures, [])) > 0
    error_message = "There is nothing to draw: the catalogue needs sections and figures."
  }
}

variable "names" {
  description = <<-EOT
    The names that this copy's resources have, by kind: what the catalogue writes as kind:name, and kind:* for all of a kind.
    Numbers that its expressions name too: price, in USD for one unit, and memory_gb, of functions.
    A kind or a name that is not there leaves out what is drawn of it. The keys must be known while planning.
  EOT
  type        = map(map(string))
}

variable "allowances" {
  description = "What is added to an alarm's threshold, by alarm and name: a queue whose function waits for a full batch is meant to be slow."
  type        = map(map(number))
  default     = {}
}

variable "thresholds" {
  description = "Thresholds that this copy sets itself, by alarm, in the unit that the catalogue names."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.thresholds), [for alarm in var.catalogue.alarms : alarm.id])) == 0
    error_message = "There is no alarm of that name; config/figures.yaml lists them."
  }
}

variable "other_alarms" {
  description = "Alarms that other modules raise, by their names: shown with the others, and `risk` ones part of payments-at-risk."
  type        = map(object({ arn = string, risk = bool }))
  default     = {}
}

variable "log_groups" {
  description = "Log groups that saved queries read: of functions, and of the switch's parties."
  type        = object({ functions = list(string), switch = list(string) })
  default     = { functions = [], switch = [] }
}

variable "alerts_topic_arn" {
  description = "Topic that is told when an alarm begins and when it ends."
  type        = string
}

variable "alarms_run" {
  description = "CloudWatch raises alarms and keeps queries at the target. When false there are dashboards alone."
  type        = bool
}
