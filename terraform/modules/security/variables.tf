variable "platform" {
  description = "Where this copy of Postrail lives."
  type = object({
    name_prefix = string
    partition   = string
    account_id  = string
    region      = string
  })
}

variable "deletion_protection" {
  description = "Keys wait 30 days before they are gone; otherwise 7, the least KMS allows."
  type        = bool
}
