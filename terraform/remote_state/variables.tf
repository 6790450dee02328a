variable "name_prefix" {
  description = "Starts the bucket's name. One bucket serves all environments of an account."
  type        = string
  default     = "postrail"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,24}$", var.name_prefix))
    error_message = "Use 2 to 25 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "region" {
  description = "AWS region of the bucket; that of the deployments is best, since a state is useless without its region."
  type        = string
  default     = "eu-west-2"
}

variable "noncurrent_days" {
  description = "How long a replaced version of a state can be brought back, in days."
  type        = number
  default     = 90
}
