provider "aws" {
  region = var.region

  # An emulator has one host name for all buckets. Its address itself comes from AWS_ENDPOINT_URL.
  s3_use_path_style = var.target.emulator

  default_tags {
    tags = merge({ Application = "postrail", Prefix = var.name_prefix, ManagedBy = "terraform" }, var.tags)
  }
}

# What belongs to CloudFront is managed there, wherever it is used: its firewall, and the logs of both.
provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"

  default_tags {
    tags = merge({ Application = "postrail", Prefix = var.name_prefix, ManagedBy = "terraform" }, var.tags)
  }
}
