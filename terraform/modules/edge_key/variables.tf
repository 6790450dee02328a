variable "platform" {
  description = "Where this copy of Postrail lives."
  type        = object({ name_prefix = string, region = string })
}

variable "edge_key_arn" {
  description = "KMS key that encrypts the secret."
  type        = string
}

variable "deletion_protection" {
  description = "The secret can be restored for 30 days."
  type        = bool
}
