# What stands before the APIs: CloudFront, with a web application firewall. An HTTP API takes no firewall itself.
#
# All of it is managed in us-east-1, where CloudFront's firewalls and logs are: whoever uses the module gives it that provider.
#
# The edge speaks TLS with both sides, keeps nothing, and hands on every header but the host's name. It says who it is by a key
# in a header (key.tf), so that nobody goes round it.

locals {
  name = "${var.platform.name_prefix}-edge"

  # AWS's own policies, by their ids, which are the same in every account: cache nothing; hand on all but the host.
  caching_disabled       = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_viewer_except_host = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
}

resource "aws_cloudfront_distribution" "this" {
  for_each = var.apis

  #checkov:skip=CKV_AWS_86:logged by the newer way, which encrypts with our key and leaves paths out: aws_cloudwatch_log_delivery
  #checkov:skip=CKV_AWS_305:an API has no page that is shown when none is asked for
  #checkov:skip=CKV_AWS_310:there is one API to answer; a second origin would be the same one
  #checkov:skip=CKV_AWS_374:who may call is said by tokens; a list of countries would shut out who travels
  #checkov:skip=CKV2_AWS_42:with a domain of your own the certificate is yours; without one there can be none but CloudFront's
  #checkov:skip=CKV_AWS_174:TLS 1.2 and newer wherever a certificate is given; with CloudFront's own one it knows no minimum

  comment         = "${var.platform.name_prefix}: ${each.key} API"
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = "PriceClass_100"
  web_acl_id      = aws_wafv2_web_acl.this.arn
  aliases         = [for domain in [for name, domain in var.settings.domains : domain if name == each.key] : domain.name]

  origin {
    origin_id   = "api"
    domain_name = trimprefix(each.value, "https://")

    custom_origin_config {
      http_port              = 80 # the provider wants it; no request goes there
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      origin_read_timeout    = 30 # the API gives up after 29
    }
  }

  default_cache_behavior {
    target_origin_id           = "api"
    viewer_protocol_policy     = "https-only" # a token that was sent in clear is spent, whatever the redirection says
    allowed_methods            = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = local.caching_disabled
    origin_request_policy_id   = local.all_viewer_except_host
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this.id

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.show_key.arn
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = !contains(keys(var.settings.domains), each.key)
    acm_certificate_arn            = try(var.settings.domains[each.key].certificate_arn, null)
    ssl_support_method             = contains(keys(var.settings.domains), each.key) ? "sni-only" : null
    minimum_protocol_version       = contains(keys(var.settings.domains), each.key) ? "TLSv1.2_2021" : "TLSv1"
  }
}

# Answers are data for programs: no browser is to guess, frame, keep or downgrade them.
resource "aws_cloudfront_response_headers_policy" "this" {
  #checkov:skip=CKV_AWS_259:a year and all subdomains; preload would put a whole domain on the lists of browsers, which is its owner's to do

  name    = local.name
  comment = "Answers of Postrail's APIs."

  security_headers_config {
    strict_transport_security {
      access_control_max_age_sec = 31536000
      include_subdomains         = true
      override                   = true
    }

    content_type_options {
      override = true
    }

    frame_options {
      frame_option = "DENY"
      override     = true
    }

    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }

    content_security_policy {
      content_security_policy = "default-src 'none'; frame-ancestors 'none'"
      override                = true
    }
  }

  custom_headers_config {
    items {
      header   = "Cache-Control"
      value    = "no-store"
      override = true
    }
  }
}
